"""Opens chains of tiers, and learns which tiers in the middle are worth asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gateway.core.ports import ChainTelemetry
from gateway.core.speculation.chain_report import ChainReport, MiddleTierReport
from gateway.core.speculation.job import Job
from gateway.core.speculation.lead import Lead
from gateway.core.speculation.tier_gain import TierGain, TierGains
from gateway.core.tier import Tier
from gateway.core.types import InferenceRequest
from gateway.protocol.virtual_models import OF_TIER
from gateway.serving.chain.chain import Chain
from gateway.serving.chain.middle_tier import MiddleTier, MiddleTierTerms
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.verifiers import VerifierEndpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainWish:
    """An answer that is to come through stages in the middle, the lowest first: names of tiers, or
    of models. `below` names who drafts for the lowest, "" where nobody does. `last` is the stage
    that decides, with this `model`; `job` is what it is asked for."""

    through: Sequence[str]
    below: str
    last: str
    model: str
    job: Job
    request: InferenceRequest
    tokenizer: str


def _nowhere(position: int, ids: Sequence[int]) -> None:
    """Nobody drafts below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """The way to chains of tiers. `adapts`: tiers that gain nothing are left out. `new_id` gives
    hex digits that nobody can guess."""

    verifiers: VerifierEndpoints
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]
    telemetry: ChainTelemetry
    adapts: bool = True
    _gains: TierGains = field(default_factory=TierGains)

    def open(
        self, wish: ChainWish, ahead: Callable[[int, Sequence[int]], None] = _nowhere
    ) -> Chain:
        """The tiers in the middle that are worth it are at work from now on. `ahead(position, ids)`
        is told what the lowest of them expects."""
        names = [wish.below, *wish.through, wish.last]
        gain = self._gain(wish, "-".join(name for name in names if name))
        used = gain.choose() if self.adapts else frozenset(wish.through)
        report = ChainReport(chain="-".join(filter(None, names)), used=sorted(used))
        chain = Chain(
            names=names,
            report=report,
            clock=self.verifiers.clock,
            ahead=ahead,
            ended=partial(self._ended, gain),
        )
        chain.start(
            [
                self._middle(chain, place, stage, wish)
                for place, stage in enumerate(wish.through, 1)
                if stage in used
            ]
        )
        return chain

    async def prompt_of(self, wish: ChainWish, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """The ids of a prompt, as an engine of the lowest stage makes them. Raises GatewayError."""
        request, tier = _at_stage(wish.request, wish.through[0])
        attempts = self.verifiers.attempts(request.caller.id)
        choice = self.verifiers.choose(request, tier, wish.tokenizer, attempts)
        endpoint = choice.state.endpoint
        return await self.verifiers.verifier.tokenize(endpoint, choice.model, messages)

    def unused(self, chain: str, reason: str) -> None:
        """An answer of this chain comes without drafts, for this reason."""
        self.telemetry.chain_unused(chain, reason)

    def conditions(self) -> dict[str, str]:
        """What is left out, in words for the operator."""
        left_out = self._gains.left_out() if self.adapts else []
        if not left_out:
            return {}
        return {
            "middle-tier-left-out": f"answers come faster without {', '.join(left_out)}; it is "
            "tried again now and then"
        }

    def _gain(self, wish: ChainWish, chain: str) -> TierGain:
        return self._gains.of(
            chain=chain,
            model=wish.model,
            drafter=wish.request.caller.id if wish.below else "",
            tiers=wish.through,
        )

    def _ended(self, gain: TierGain, report: ChainReport) -> None:
        if report.whole and report.first_s is not None:
            gain.observe(report.used, report.tokens, report.first_s, report.rest_s)
        gains = {tier: value for tier in gain.tiers if (value := gain.gain(tier)) is not None}
        self.telemetry.chain_ended(report, gains)

    def _middle(self, chain: Chain, place: int, stage: str, wish: ChainWish) -> MiddleTier:
        job, (request, tier) = wish.job, _at_stage(wish.request, stage)
        return MiddleTier(
            place=place,
            verifiers=self.verifiers,
            timeouts=self.timeouts,
            new_id=self.new_id,
            terms=MiddleTierTerms(
                request=request,
                tier=tier,
                tokenizer=wish.tokenizer,
                prompt=job.prompt,
                sampling=job.sampling,
            ),
            leave=partial(chain.leave, place),
            tell=partial(chain.tell, place),
            lead=Lead(most=job.sampling.get("max_tokens")),
            report=MiddleTierReport(tier=stage),
        )


def _at_stage(request: InferenceRequest, stage: str) -> tuple[InferenceRequest, Tier | None]:
    """The request for what this stage writes, and the tier where it may be asked; None: any."""
    model = OF_TIER.get(stage, stage)
    asked = replace(request, id=f"{request.id}/{stage}", parent=request.id, model=model)
    return asked, Tier(stage) if stage in OF_TIER else None
