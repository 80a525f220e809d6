"""A caller says how good an answer was: its members' quality in that domain rises or falls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from gateway.core.collective.lessons import from_feedback
from gateway.core.ports import CollectiveTelemetry, StateStore
from gateway.core.state.operations import Advance, Hold, Read, Release
from gateway.errors import Conflict, InvalidRequest
from gateway.serving.collective.memory import ROUNDS, observations
from gateway.serving.collective.policy import CollectivePolicy

_USED = b"{}"
JUDGING = "judging"
JUDGING_S = 10.0
"""Longer than a store's timeouts; after that a judgement that was lost may be given again."""


class FeedbackHandler:
    def __init__(
        self,
        *,
        store: StateStore,
        policy: CollectivePolicy,
        telemetry: CollectiveTelemetry,
        new_id: Callable[[], str],
    ) -> None:
        """`new_id` tells one who judges from another."""
        self._new_id = new_id
        self._store = store
        self._policy = policy
        self._telemetry = telemetry

    async def give(self, id: str, score: float) -> int:
        """How many members it concerned. Raises InvalidRequest for an unknown answer, Conflict for
        a second opinion on the same one, StateLost: then it may be given again."""
        ((_, value),) = await self._store.run(Read(ROUNDS, id))
        _unjudged(value)
        who = self._new_id()
        # Whoever holds the answer judges alone, so that two at once don't both count.
        hold = Hold(kind=JUDGING, name=id, holder=who, value=b"", ttl_s=JUDGING_S)
        held, (round_, value) = await self._store.run(hold, Read(ROUNDS, id))
        if not held:
            raise Conflict(
                f"id: this answer is being judged; try again in {JUDGING_S:g} s",
                param="id",
                code="being_judged",
            )
        told = _unjudged(value)
        weight, keep = self._policy.feedback_weight, self._policy.keep
        lessons = from_feedback(told["shares"], score, weight, told["vague"])
        # In one run: a mark without its lessons would lose the judgement for good.
        await self._store.run(
            Advance(kind=ROUNDS, name=id, expected=round_, value=_USED, ttl_s=keep.feedback_s),
            *observations(told["domain"], lessons, keep.half_life_s),
            Release(JUDGING, id, who),
        )
        self._telemetry.feedback(told["domain"])
        return len(lessons)


def _unjudged(value: bytes | None) -> dict[str, Any]:
    """What is known of an answer. Raises InvalidRequest, Conflict."""
    if value is None:
        raise InvalidRequest(
            "id: no such answer of a collective, or it is too old to be judged (collective."
            "quality.feedback_s)",
            param="id",
            code="unknown_answer",
        )
    told: dict[str, Any] = orjson.loads(value)
    if not told:
        raise Conflict("id: this answer has been judged", param="id", code="already_judged")
    return told
