"""Feedback: a caller judges an answer, and its members' measured quality in that domain changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from gateway.core.collective.lessons import lessons_from_feedback
from gateway.core.ports import CollectiveTelemetry, StateStore
from gateway.core.state.operations import Advance, Hold, Read, Release
from gateway.errors import Conflict, InvalidRequest
from gateway.serving.collective.memory import ROUNDS, hashed, quality_observations
from gateway.serving.collective.options import CollectivePolicy

JUDGING = "judging"
JUDGING_S = 10.0
"""The lease of one who judges. It is longer than a store's timeouts, so that a judgement that was
lost on its way can be given again when it has run out."""


class FeedbackHandler:
    """The handler of judgements of answers. `new_id` makes a name for each one who judges."""

    def __init__(
        self,
        *,
        store: StateStore,
        policy: CollectivePolicy,
        telemetry: CollectiveTelemetry,
        new_id: Callable[[], str],
    ) -> None:
        self._new_id = new_id
        self._store = store
        self._policy = policy
        self._telemetry = telemetry

    async def judge(self, id: str, score: float, owner: str) -> int:
        """Apply `score`, 0 to 1, to the members of the answer `id`, and give their number. `owner`
        is the caller's: it judges its own answers alone.

        Raises InvalidRequest for an unknown answer and for another caller's, Conflict for one that
        has been judged or is being judged, StateLost: then it may be tried again.
        """
        ((_, value),) = await self._store.run(Read(ROUNDS, id))
        caller = hashed(owner)
        _unjudged(value, caller)
        judge = self._new_id()
        # A lease on the answer, so that of two judgements at once only one counts.
        lease = Hold(kind=JUDGING, name=id, holder=judge, value=b"", ttl_s=JUDGING_S)
        held, (round_, value) = await self._store.run(lease, Read(ROUNDS, id))
        if not held:
            raise Conflict(
                f"id: this answer is being judged; try again in {JUDGING_S:g} s",
                param="id",
                code="being_judged",
            )
        answer = _unjudged(value, caller)
        weight, retention = self._policy.feedback_weight, self._policy.retention
        lessons = lessons_from_feedback(answer["shares"], score, weight, answer["vague"])
        judged = orjson.dumps({"caller": caller})
        # In one run: if the answer were marked as judged and the lessons were lost, the judgement
        # could not be given again.
        await self._store.run(
            Advance(
                kind=ROUNDS, name=id, expected=round_, value=judged, ttl_s=retention.feedback_s
            ),
            *quality_observations(answer["domain"], lessons, retention.half_life_s),
            Release(JUDGING, id, judge),
        )
        self._telemetry.feedback(answer["domain"])
        return len(lessons)


def _unjudged(value: bytes | None, caller: str) -> dict[str, Any]:
    """The record of an answer: its caller, its domain, its members' shares, and which of these are
    vague; only the caller, once it has been judged. Raises InvalidRequest, Conflict."""
    answer: dict[str, Any] = {} if value is None else orjson.loads(value)
    if answer.get("caller") != caller:
        raise InvalidRequest(
            "id: no such answer of a collective to this caller, or it is too old to be judged "
            "(collective.quality.feedback_s)",
            param="id",
            code="unknown_answer",
        )
    if "shares" not in answer:
        raise Conflict("id: this answer has been judged", param="id", code="already_judged")
    return answer
