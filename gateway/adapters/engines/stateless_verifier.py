"""The `Verifier` port on any engine that has the OpenAI API and a prefix cache, but no mailbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.adapters.engines.stateless_verification import IN_ROUNDS, StatelessVerification
from gateway.adapters.engines.verifier import EngineVerifier
from gateway.core.bounded_dict import BoundedDict
from gateway.core.ports import Clock, ModelServer, RoundTelemetry, Verification
from gateway.core.speculation.job import DraftFacts, DraftWay, Job
from gateway.core.speculation.round_costs import RoundCosts
from gateway.core.speculation.round_economy import RoundEconomy, RoundRule
from gateway.core.types import Endpoint
from gateway.protocol.requests.neutral_fields import telling_fields

MOST_DRAFTS = 8
"""Drafts of one round."""
MAX_ENDPOINTS = 1024
"""Whose costs are kept."""
_GREEDY = frozenset({"temperature", "top_p", "top_k", "seed", "max_tokens"})
"""Fields that say nothing more about a greedy answer, or that rounds heed."""


class StatelessVerifier:
    """The verifier at engines with a mailbox and at those without one, where drafts are checked in
    rounds.

    `engines` serves all that rounds are not for: endpoints with a mailbox, pools whose name
    `takes_rounds` refuses, and answers that are not greedy. `rule` decides for one answer, by what
    its endpoint costs.
    """

    def __init__(
        self,
        *,
        engines: EngineVerifier,
        server: ModelServer,
        takes_rounds: Callable[[str], bool],
        clock: Clock,
        telemetry: RoundTelemetry,
        rule: Callable[[RoundCosts], RoundRule] = RoundEconomy,
        most_drafts: int = MOST_DRAFTS,
    ) -> None:
        self._engines = engines
        self._server = server
        self._takes_rounds = takes_rounds
        self._clock = clock
        self._telemetry = telemetry
        self._rule = rule
        self._most_drafts = most_drafts
        self._costs = BoundedDict[str, RoundCosts](MAX_ENDPOINTS)

    def way(self, endpoint: Endpoint) -> DraftWay:
        """The way in which the endpoint takes drafts."""
        if self._engines.has_mailbox(endpoint):
            return "mailbox"
        return "rounds" if self._takes_rounds(endpoint.pool) else "none"

    def facts(self, endpoint: Endpoint) -> DraftFacts:
        if self.way(endpoint) == "rounds":
            return DraftFacts(per_step=self._most_drafts)
        return self._engines.facts(endpoint)

    async def tokenize(
        self, endpoint: Endpoint, model: str, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        return await self._engines.tokenize(endpoint, model, messages)

    async def detokenize(self, endpoint: Endpoint, model: str, ids: Sequence[int]) -> str:
        return await self._engines.detokenize(endpoint, model, ids)

    async def open(self, endpoint: Endpoint, job: Job) -> Verification:
        if self.way(endpoint) != "rounds":
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
            rule=self._rule(self._costs.setdefault(endpoint.id, RoundCosts())),
            most_drafts=self._most_drafts,
            clock=self._clock,
            telemetry=self._telemetry,
        )


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
