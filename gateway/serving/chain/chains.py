"""Opens chains of tiers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gateway.core.speculation.job import Job
from gateway.core.speculation.lead import Lead
from gateway.core.speculation.writers import Writers
from gateway.core.tier import Tier
from gateway.core.types import InferenceRequest
from gateway.protocol.virtual_models import OF_TIER
from gateway.serving.chain.middle_tier import MiddleTier, MiddleTierTerms
from gateway.serving.chain.verification import ChainVerification
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.verifiers import VerifierEndpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """The way to chains of tiers. `new_id` gives hex digits that nobody can guess."""

    verifiers: VerifierEndpoints
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]

    def open(
        self,
        job: Job,
        through: Sequence[Tier],
        *,
        request: InferenceRequest,
        tokenizer: str,
        ahead: Callable[[int, Sequence[int]], None],
    ) -> ChainVerification:
        """A chain for the answer that a last tier is about to be asked for by `job`: its tiers in
        the middle, `through`, are at work from now on. `request` is the answer's. `ahead(position,
        ids)` is told what the lowest of them expects."""
        chain = ChainVerification(Writers(last=len(through) + 1), ahead)
        chain.start(
            [
                self._middle(chain, place, tier, job, request, tokenizer)
                for place, tier in enumerate(through, 1)
            ]
        )
        return chain

    def _middle(
        self,
        chain: ChainVerification,
        place: int,
        tier: Tier,
        job: Job,
        request: InferenceRequest,
        tokenizer: str,
    ) -> MiddleTier:
        own = replace(
            request, id=f"{request.id}/{tier}", parent=request.id, model=OF_TIER[tier.value]
        )
        return MiddleTier(
            verifiers=self.verifiers,
            timeouts=self.timeouts,
            new_id=self.new_id,
            terms=MiddleTierTerms(
                request=own,
                tier=tier,
                tokenizer=tokenizer,
                prompt=job.prompt,
                sampling=job.sampling,
            ),
            leave=partial(chain.leave, place),
            tell=partial(chain.tell, place),
            lead=Lead(most=job.sampling.get("max_tokens")),
        )
