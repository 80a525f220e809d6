"""A caller says how good an answer was: its members' quality in that domain rises or falls."""

from __future__ import annotations

import orjson

from gateway.core.collective.learning import from_feedback
from gateway.core.ports import CollectiveTelemetry, StateStore
from gateway.core.state.operations import Advance, Read
from gateway.errors import Conflict, InvalidRequest
from gateway.serving.collective.policy import Policy
from gateway.serving.collective.records import ROUNDS, Records

_USED = b"{}"


class FeedbackDesk:
    def __init__(
        self, store: StateStore, records: Records, policy: Policy, telemetry: CollectiveTelemetry
    ) -> None:
        self._store = store
        self._records = records
        self._policy = policy
        self._telemetry = telemetry

    async def give(self, id: str, score: float) -> int:
        """How many members it concerned. Raises InvalidRequest for an unknown answer, Conflict for
        a second opinion on the same one, StateLost."""
        ((round_, value),) = await self._store.run(Read(ROUNDS, id))
        if value is None:
            raise InvalidRequest(
                "id: no such answer of a collective, or it is too old to be judged (collective."
                "quality.feedback_s)",
                param="id",
                code="unknown_answer",
            )
        told = orjson.loads(value)
        if not told:
            raise _judged()
        weight = self._policy.feedback_weight
        lessons = from_feedback(told["shares"], score, weight, told["vague"])
        # First mark it, so that two at once don't both count.
        mark = Advance(ROUNDS, id, round_, _USED, self._policy.keep.feedback_s)
        (first,) = await self._store.run(mark)
        if not first:
            raise _judged()
        if lessons:
            await self._store.run(*self._records.observations(told["domain"], lessons))
        self._telemetry.feedback(told["domain"])
        return len(lessons)


def _judged() -> Conflict:
    return Conflict("id: this answer has been judged", param="id", code="already_judged")
