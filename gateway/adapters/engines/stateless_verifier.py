"""The `Verifier` port on any engine that has the OpenAI API and a prefix cache, but no mailbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.adapters.engines.stateless_verification import IN_ROUNDS, StatelessVerification
from gateway.adapters.engines.verifier import EngineVerifier
from gateway.core.bounded_dict import BoundedDict
from gateway.core.ports import Clock, LeaveDrafts, ModelServer, RoundTelemetry, Verification
from gateway.core.speculation.job import DraftFacts, DraftWay, Job
from gateway.core.speculation.round_costs import RoundCosts
from gateway.core.speculation.round_economy import RoundTerms
from gateway.core.types import Endpoint
from gateway.protocol.requests.neutral_fields import telling_fields

MAX_ENDPOINTS = 1024
"""Whose costs are kept."""
_GREEDY = frozenset({"temperature", "top_p", "top_k", "seed", "max_tokens"})
"""Fields that say nothing more about a greedy answer, or that rounds heed."""


class StatelessVerifier:
    """The verifier at engines with a mailbox and at those without one, where drafts are checked in
    rounds.

    `engines` serves all that rounds are not for: endpoints with a mailbox, pools without `terms`
    for rounds, and answers that are not greedy. `terms` by the pool's name.
    """

    def __init__(
        self,
        *,
        engines: EngineVerifier,
        server: ModelServer,
        terms: Mapping[str, RoundTerms],
        clock: Clock,
        telemetry: RoundTelemetry,
    ) -> None:
        self._engines = engines
        self._server = server
        self._terms = terms
        self._clock = clock
        self._telemetry = telemetry
        self._costs = BoundedDict[str, RoundCosts](MAX_ENDPOINTS)

    def way(self, endpoint: Endpoint) -> DraftWay:
        """The way in which the endpoint takes drafts."""
        if self._engines.has_mailbox(endpoint):
            return "mailbox"
        return "rounds" if endpoint.pool in self._terms else "none"

    def facts(self, endpoint: Endpoint) -> DraftFacts:
        if terms := self._terms_at(endpoint):
            return DraftFacts(per_step=terms.most_drafts)
        return self._engines.facts(endpoint)

    def early(self, endpoint: Endpoint, session: str) -> LeaveDrafts | None:
        return self._engines.early(endpoint, session)

    def takes_messages(self, endpoint: Endpoint) -> bool:
        return self._engines.takes_messages(endpoint)

    async def tokenize(
        self, endpoint: Endpoint, model: str, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        return await self._engines.tokenize(endpoint, model, messages)

    async def detokenize(self, endpoint: Endpoint, model: str, ids: Sequence[int]) -> str:
        return await self._engines.detokenize(endpoint, model, ids)

    async def open(self, endpoint: Endpoint, job: Job) -> Verification:
        terms = self._terms_at(endpoint)
        if terms is None:
            return await self._engines.open(endpoint, job)
        if reason := plain_reason(job.sampling):
            self._telemetry.plain(endpoint.pool, reason)
            return await self._engines.open(endpoint, job)
        stream = await self._engines.open(endpoint, job)
        return StatelessVerification(
            verifier=self._engines,
            server=self._server,
            endpoint=endpoint,
            job=job,
            stream=stream,
            rule=terms.rule(self._costs.setdefault(endpoint.id, RoundCosts())),
            most_drafts=terms.most_drafts,
            clock=self._clock,
            telemetry=self._telemetry,
        )

    def _terms_at(self, endpoint: Endpoint) -> RoundTerms | None:
        """None where no drafts are checked in rounds."""
        return self._terms[endpoint.pool] if self.way(endpoint) == "rounds" else None


def plain_reason(sampling: Mapping[str, Any]) -> str:
    """Why an answer with these fields can't have rounds; "": it can. The most telling reason."""
    if sampling.get("temperature") != 0:
        # The model's own default may be another temperature.
        return "sampled"
    if sampling.get("stop"):
        # A stop text may lie across two rounds, of which the engine sees the end alone.
        return "stop_texts"
    if telling_fields(sampling, _GREEDY | IN_ROUNDS):
        return "fields"
    return "" if sampling.get("max_tokens") else "unbounded"
