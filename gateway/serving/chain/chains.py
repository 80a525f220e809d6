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
    that decides, with this `model`."""

    through: Sequence[str]
    below: str
    last: str
    model: str
    request: InferenceRequest
    tokenizer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainTurn:
    """An answer's turn: the tiers in the middle that it is to have (`used`), as is decided `at`
    this time, before anybody is asked."""

    wish: ChainWish
    used: frozenset[str]
    gain: TierGain
    at: float


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

    def turn(self, wish: ChainWish, before: ChainTurn | None = None) -> ChainTurn:
        """Which of the tiers in the middle are worth it now, or are to be tried. `before`: the turn
        that the answer had at an endpoint that broke; it keeps its tiers."""
        gain = self._gains.of(
            chain=_name(wish),
            model=wish.model,
            drafter=wish.request.caller.id if wish.below else "",
            tiers=wish.through,
        )
        if before is not None:
            used = before.used
        else:
            used = gain.choose() if self.adapts else frozenset(wish.through)
        return ChainTurn(wish=wish, used=used, gain=gain, at=self.verifiers.clock.now())

    def open(
        self, turn: ChainTurn, job: Job, ahead: Callable[[int, Sequence[int]], None] = _nowhere
    ) -> Chain:
        """The tiers of this turn are at work on the `job` from now on, whose prompt's ids only they
        need. `ahead(position, ids)` is told what the lowest of them expects."""
        wish = turn.wish
        chain = Chain(
            names=[wish.below, *wish.through, wish.last],
            report=ChainReport(chain=_name(wish), used=sorted(turn.used)),
            clock=self.verifiers.clock,
            begun=turn.at,
            ahead=ahead,
            ended=partial(self._ended, turn.gain),
        )
        chain.start(
            [
                self._middle(chain, place, stage, wish, job)
                for place, stage in enumerate(wish.through, 1)
                if stage in turn.used
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

    def _ended(self, gain: TierGain, report: ChainReport) -> None:
        if report.whole and report.first_s is not None:
            gain.observe(report.used, report.tokens, report.first_s, report.rest_s)
        gains = {tier: value for tier in gain.tiers if (value := gain.gain(tier)) is not None}
        self.telemetry.chain_ended(report, gains)

    def _middle(
        self, chain: Chain, place: int, stage: str, wish: ChainWish, job: Job
    ) -> MiddleTier:
        request, tier = _at_stage(wish.request, stage)
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


def _name(wish: ChainWish) -> str:
    return "-".join(name for name in (wish.below, *wish.through, wish.last) if name)


def _at_stage(request: InferenceRequest, stage: str) -> tuple[InferenceRequest, Tier | None]:
    """The request for what this stage writes, and the tier where it may be asked; None: any."""
    model = OF_TIER.get(stage, stage)
    asked = replace(request, id=f"{request.id}/{stage}", parent=request.id, model=model)
    return asked, Tier(stage) if stage in OF_TIER else None
