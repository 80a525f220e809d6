"""The calls of the shared store that a collective makes: one before the work, one after it, and
with an idempotency key one for each round."""

from __future__ import annotations

from gateway.core.collective.report import Report
from gateway.core.ports import CollectiveTelemetry, StateStore
from gateway.core.state.operations import ClaimResult, ClaimState
from gateway.errors import Conflict, QuotaExceeded, StateLost
from gateway.serving.collective.memory import (
    Evidence,
    PriorKnowledge,
    RequestKeys,
    claim_operation,
    complete_operation,
    prior_knowledge,
    recall_operations,
    round_operation,
    settlement_operations,
)
from gateway.serving.collective.options import CollectivePolicy


class CollectiveMemory:
    """The memory in the shared store. While the store is lost, requests are answered without it;
    only those with an idempotency key fail, as they could be answered twice."""

    def __init__(
        self, store: StateStore, policy: CollectivePolicy, telemetry: CollectiveTelemetry
    ) -> None:
        self._store = store
        self._policy = policy
        self._retention = policy.retention
        self._telemetry = telemetry

    async def recall(self, keys: RequestKeys) -> PriorKnowledge:
        """Read what is known, spend the caller's quota and claim the idempotency key. Raises
        QuotaExceeded; StateLost only for a request with an idempotency key."""
        operations = recall_operations(keys, self._policy)
        if not operations:
            return PriorKnowledge()
        try:
            results = await self._store.run(*operations.values())
        except StateLost:
            self._telemetry.state_lost("recall")
            if keys.key is not None:
                raise
            return PriorKnowledge()
        by_purpose = dict(zip(operations, results, strict=True))
        prior = prior_knowledge(keys, by_purpose)
        wait_s = by_purpose.get("quota", 0.0)
        # A stored answer costs nothing, so that it comes again also without quota.
        if wait_s > 0.0 and prior.claimed.state is not ClaimState.DONE:
            if _ours(prior.claimed):
                await self.give_up(keys)
            raise QuotaExceeded(
                "this caller has made as many collective requests as it may for now; wait, or "
                "raise collective.requests_per_minute",
                retry_after=wait_s,
                code="quota_exceeded",
            )
        return prior

    async def renew(self, keys: RequestKeys) -> bool:
        """Renew the claim on the idempotency key. Gives False when another replica has taken it
        over. Raises StateLost."""
        (claimed,) = await self._store.run(claim_operation(keys, self._retention))
        return _ours(claimed)

    async def give_up(self, keys: RequestKeys) -> None:
        """Give the claim up: the request failed, and may be made again."""
        if keys.key is None:
            return
        try:
            await self._store.run(complete_operation(keys, None, self._retention))
        except StateLost:
            self._telemetry.state_lost("give_up")

    async def keep_round(self, keys: RequestKeys, stored_rounds: int, report: Report) -> int:
        """Store what is done so far for a replica that may have to take over. Gives the number of
        rounds that are stored now. Raises Conflict when another replica has taken over."""
        if keys.key is None:
            return stored_rounds
        try:
            claimed, _ = await self._store.run(
                claim_operation(keys, self._retention),
                round_operation(keys, stored_rounds, report, self._retention),
            )
        except StateLost:
            self._telemetry.state_lost("keep_round")
            return stored_rounds
        if not _ours(claimed):
            raise taken_over()
        return stored_rounds + 1

    async def settle(
        self,
        *,
        keys: RequestKeys,
        prior: PriorKnowledge,
        answer_id: str,
        answer: bytes | None,
        report: Report,
        evidence: Evidence,
    ) -> None:
        """Store what `settlement_operations` says, in one round trip. Never raises: the caller has
        its answer, and a store that is lost then loses what was learned."""
        operations = settlement_operations(
            keys=keys,
            prior=prior,
            answer_id=answer_id,
            answer=answer,
            report=report,
            evidence=evidence,
            retention=self._retention,
        )
        if not operations:
            return
        try:
            await self._store.run(*operations)
        except StateLost:
            self._telemetry.state_lost("settle")


def _ours(claimed: ClaimResult) -> bool:
    return claimed.state in (ClaimState.NEW, ClaimState.TAKEN_OVER)


def taken_over() -> Conflict:
    """Another replica took this one for dead, and answers in its place."""
    return Conflict(
        "idempotency-key: another replica has taken this request over; send it again with the same "
        "key",
        param="idempotency-key",
        code="idempotency_running",
    )
