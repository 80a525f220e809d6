"""What a collective remembers, as operations of the shared store, and back from their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.core.collective.lessons import Lesson
from gateway.core.collective.report import Report
from gateway.core.state.operations import (
    Advance,
    Claim,
    Claimed,
    ClaimState,
    Complete,
    Means,
    Observe,
    Operation,
    Read,
    Spend,
)
from gateway.serving.collective import pace
from gateway.serving.collective.memory_values import KnownBefore, Learned, Query, UnfinishedRequest
from gateway.serving.collective.policy import CollectivePolicy, Keep

QUALITY, AFFINITY, QUOTA, ROUNDS = "quality", "affinity", "quota", "collective"
"""Kinds of keys."""


def recalling(query: Query, policy: CollectivePolicy) -> dict[str, Operation]:
    """What is asked before the work, by what it is for."""
    found: dict[str, Operation] = {}
    if query.devices:
        found["quality"] = Means(QUALITY, [f"{d}/{query.domain}" for d in query.devices])
        found["pace"] = pace.reading(query.devices)
    if query.session is not None:
        found["affinity"] = Read(AFFINITY, query.session)
    if policy.quota is not None:
        quota = policy.quota
        found["quota"] = Spend(
            kind=QUOTA, name=query.caller, amount=1.0, burst=quota.burst, per_s=quota.per_s
        )
    if query.key is not None:
        found["claim"] = claim(query, policy.keep)
        found["rounds"] = Read(ROUNDS, _rounds_name(query))
    return found


def known(query: Query, found: Mapping[str, Any]) -> KnownBefore:
    """From the results of `recalling`; what was not asked is not known."""
    seconds, tokens = pace.understood(query.devices, found.get("pace", ()))
    round_, value = found.get("affinity", (0, None))
    stored, left = found.get("rounds", (0, None))
    return KnownBefore(
        quality=dict(zip(query.devices, found.get("quality", ()), strict=False)),
        seconds=seconds,
        tokens=tokens,
        familiar=frozenset(orjson.loads(value)) if value else frozenset(),
        affinity_round=round_,
        claimed=found.get("claim", Claimed(ClaimState.NEW)),
        stored=stored,
        left=UnfinishedRequest.loaded(left) if left else None,
    )


def claim(query: Query, keep: Keep) -> Claim:
    """Only with an idempotency key."""
    assert query.key is not None
    return Claim(
        name=query.key,
        digest=query.digest,
        holder=query.holder,
        lease_s=keep.lease_s,
        ttl_s=keep.idempotency_s,
    )


def round_done(query: Query, stored: int, report: Report, keep: Keep) -> Advance:
    """Leaves what is done so far to whoever may take over, after `stored` rounds."""
    left = UnfinishedRequest(
        asked=report.asked, quorum=report.quorum, early_exit=report.early_exit, parts=report.parts
    )
    return Advance(
        kind=ROUNDS,
        name=_rounds_name(query),
        expected=stored,
        value=left.dumped(),
        ttl_s=keep.idempotency_s,
    )


def settlement(
    query: Query,
    before: KnownBefore,
    answer_id: str,
    answer: bytes | None,
    report: Report,
    learned: Learned,
    keep: Keep,
) -> list[Operation]:
    """The lessons, the session's members, what feedback needs, and the stored answer; `before` is
    what was known before the work."""
    found: list[Operation] = list(observations(query.domain, learned.lessons, keep.half_life_s))
    if report.mode == "members":
        found += pace.observations(report.parts, before.seconds, keep.half_life_s)
    if learned.shares:
        found.append(_for_feedback(query.domain, answer_id, learned, keep))
    if query.session is not None and learned.shares:
        members = orjson.dumps(sorted(learned.shares))
        found.append(
            Advance(
                kind=AFFINITY,
                name=query.session,
                expected=before.affinity_round,
                value=members,
                ttl_s=keep.affinity_s,
            )
        )
    if query.key is not None:
        found.append(
            Complete(name=query.key, holder=query.holder, answer=answer, ttl_s=keep.idempotency_s)
        )
    return found


def observations(domain: str, lessons: Sequence[Lesson], half_life_s: float) -> list[Observe]:
    return [
        Observe(
            kind=QUALITY,
            name=f"{lesson.device}/{domain}",
            value=lesson.value,
            weight=lesson.weight,
            half_life_s=half_life_s,
        )
        for lesson in lessons
    ]


def _for_feedback(domain: str, answer_id: str, learned: Learned, keep: Keep) -> Advance:
    told = {"domain": domain, "shares": dict(learned.judged), "vague": list(learned.vague)}
    return Advance(
        kind=ROUNDS, name=answer_id, expected=0, value=orjson.dumps(told), ttl_s=keep.feedback_s
    )


def _rounds_name(query: Query) -> str:
    # With the body's digest: rounds of another request under the same key must not be taken up.
    return f"{query.key}/{query.digest}"
