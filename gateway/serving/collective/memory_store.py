"""A collective's calls of the shared store: one round trip before the work, one after it."""

from __future__ import annotations

from gateway.core.collective.report import Report
from gateway.core.ports import CollectiveTelemetry, StateStore
from gateway.core.state.operations import Claimed, ClaimState, Complete
from gateway.errors import Conflict, QuotaExceeded, StateLost
from gateway.serving.collective import memory
from gateway.serving.collective.memory_values import KnownBefore, Learned, Query
from gateway.serving.collective.policy import CollectivePolicy


class CollectiveMemory:
    """Without the store requests are answered all the same, unless they could be answered twice."""

    def __init__(
        self, store: StateStore, policy: CollectivePolicy, telemetry: CollectiveTelemetry
    ) -> None:
        self._store = store
        self._policy = policy
        self._keep = policy.keep
        self._telemetry = telemetry

    async def recall(self, query: Query) -> KnownBefore:
        """Raises QuotaExceeded; StateLost only where the request has an idempotency key: without
        the store the same request could be answered twice."""
        asked = memory.recalling(query, self._policy)
        if not asked:
            return KnownBefore()
        try:
            results = await self._store.run(*asked.values())
        except StateLost:
            self._telemetry.state_lost("recall")
            if query.key is not None:
                raise
            return KnownBefore()
        found = dict(zip(asked, results, strict=True))
        known, wait = memory.known(query, found), found.get("quota", 0.0)
        if wait > 0.0 and known.claimed.state is not ClaimState.DONE:
            if _ours(known.claimed):
                await self.give_up(query)
            raise QuotaExceeded(
                "as many collective requests as this caller may make for now; wait, or raise "
                "collective.requests_per_minute",
                retry_after=wait,
                code="quota_exceeded",
            )
        return known

    async def renew(self, query: Query) -> bool:
        """Keep the claim on an idempotency key. Gives False when it is another's by now, which took
        this replica for dead. Raises StateLost."""
        (claimed,) = await self._store.run(memory.claim(query, self._keep))
        return _ours(claimed)

    async def give_up(self, query: Query) -> None:
        """Let the idempotency key go: the request failed, and may be made again."""
        if query.key is None:
            return
        try:
            await self._store.run(
                Complete(
                    name=query.key, holder=query.holder, answer=None, ttl_s=self._keep.idempotency_s
                )
            )
        except StateLost:
            self._telemetry.state_lost("give_up")

    async def keep_round(self, query: Query, stored: int, report: Report) -> int:
        """Leave what is done so far to whoever may have to take over; gives the rounds stored.
        Raises Conflict when another has."""
        if query.key is None:
            return stored
        claim = memory.claim(query, self._keep)
        done = memory.round_done(query, stored, report, self._keep)
        try:
            claimed, _ = await self._store.run(claim, done)
        except StateLost:
            self._telemetry.state_lost("keep_round")
            return stored
        if not _ours(claimed):
            raise taken_over()
        return stored + 1

    async def settle(
        self,
        query: Query,
        known: KnownBefore,
        answer_id: str,
        answer: bytes | None,
        report: Report,
        learned: Learned,
    ) -> None:
        """After the answer, all that `storing.settlement` says in one round trip. A lost store
        loses it; the caller has its answer."""
        operations = memory.settlement(query, known, answer_id, answer, report, learned, self._keep)
        if not operations:
            return
        try:
            await self._store.run(*operations)
        except StateLost:
            self._telemetry.state_lost("settle")


def _ours(claimed: Claimed) -> bool:
    return claimed.state in (ClaimState.NEW, ClaimState.TAKEN_OVER)


def taken_over() -> Conflict:
    """Another replica took this one for dead, and answers in its place."""
    return Conflict(
        "idempotency-key: another replica has taken this request over; ask again with the same key",
        param="idempotency-key",
        code="idempotency_running",
    )
