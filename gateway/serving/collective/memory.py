"""The memory of collectives: what the shared store is asked before the work and told after it.

The values that a request reads and leaves, and the store's operations for them; `memory_store`
carries the operations out. The kinds of keys:

    quality     device/domain            the mean quality of a member's answers, 0 to 1
    pace        device/seconds, /tokens  the means per answer
    affinity    caller and session       the members that answered in this session
    quota       caller                   the bucket of requests that the caller may make
    collective  key/digest               rounds of an unfinished request (see `idempotency`)
    collective  answer's id              what feedback on the answer needs

What callers write (sessions, keys, tokens) stands in the store as hashes alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.core.collective.lessons import Lesson
from gateway.core.collective.report import Contribution, Report
from gateway.core.state.operations import (
    Advance,
    Claim,
    ClaimResult,
    ClaimState,
    Complete,
    Mean,
    Means,
    Observe,
    Operation,
    Read,
    Spend,
)
from gateway.serving.collective.options import CollectivePolicy, RetentionTimes

QUALITY, PACE, AFFINITY, QUOTA, ROUNDS = "quality", "pace", "affinity", "quota", "collective"
STRAGGLER_WEIGHT = 0.5
"""The weight of a straggler's seconds. They say only that the member takes longer than that: one
such observation alone does not count when members are chosen, two do."""


def hashed(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKeys:
    """The names under which the store holds what concerns one request.

    `holder` is the one who works on it, `devices` are those that may be chosen. `key` and `digest`
    (of the body) are there only with an idempotency key, `session` only where the caller named one.
    `caller`, `session`, `key` and `digest` are hashes.
    """

    domain: str
    devices: Sequence[str]
    caller: str
    holder: str
    session: str | None = None
    key: str | None = None
    digest: str = ""

    @property
    def rounds(self) -> str:
        # With the body's digest: rounds of another request under the same key must not be resumed.
        return f"{self.key}/{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRequest:
    """What a replica has done of a request: the members that it chose, how many answers it needed,
    why it waited for no more (`early_exit`), and what came of each."""

    chosen: Sequence[str]
    quorum: int
    early_exit: str | None
    contributions: Sequence[Contribution]

    def dumped(self) -> bytes:
        return orjson.dumps(
            {
                "asked": list(self.chosen),
                "quorum": self.quorum,
                "early_exit": self.early_exit,
                "parts": [contribution.as_dict() for contribution in self.contributions],
            }
        )

    @classmethod
    def loaded(cls, value: bytes) -> UnfinishedRequest:
        loaded = orjson.loads(value)
        return cls(
            chosen=loaded["asked"],
            quorum=loaded["quorum"],
            early_exit=loaded["early_exit"],
            contributions=[Contribution(**contribution) for contribution in loaded["parts"]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorKnowledge:
    """What is known before the work.

    By device: `quality` (0 to 1) in the request's domain, `seconds` and `tokens` per answer.
    `familiar`: the session's members so far, stored as round `affinity_round`. `claimed` is what
    became of the claim on the idempotency key. `stored_rounds` rounds were left by a replica that
    is gone, and `unfinished` is what it had done.
    """

    quality: Mapping[str, Mean] = field(default_factory=dict)
    seconds: Mapping[str, Mean] = field(default_factory=dict)
    tokens: Mapping[str, Mean] = field(default_factory=dict)
    familiar: frozenset[str] = frozenset()
    affinity_round: int = 0
    claimed: ClaimResult = ClaimResult(ClaimState.NEW)
    stored_rounds: int = 0
    unfinished: UnfinishedRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an answer says of its members: the `shares` of it that each agrees with, `lessons` on
    their quality, and the shares that a caller may judge (`judged`). `vague`: members whose share
    is one of words in common, not of final answers."""

    shares: Mapping[str, float] = field(default_factory=dict)
    lessons: Sequence[Lesson] = ()
    judged: Mapping[str, float] = field(default_factory=dict)
    vague: Sequence[str] = ()


# Before the work.


def recall_operations(keys: RequestKeys, policy: CollectivePolicy) -> dict[str, Operation]:
    """What is read before the work, by what it is for."""
    operations: dict[str, Operation] = {}
    if keys.devices:
        operations["quality"] = Means(QUALITY, [f"{d}/{keys.domain}" for d in keys.devices])
        operations["pace"] = Means(
            PACE, [f"{device}/{what}" for device in keys.devices for what in ("seconds", "tokens")]
        )
    if keys.session is not None:
        operations["affinity"] = Read(AFFINITY, keys.session)
    if policy.quota is not None:
        operations["quota"] = Spend(
            kind=QUOTA,
            name=keys.caller,
            amount=1.0,
            burst=policy.quota.burst,
            per_s=policy.quota.per_s,
        )
    if keys.key is not None:
        operations["claim"] = claim_operation(keys, policy.retention)
        operations["rounds"] = Read(ROUNDS, keys.rounds)
    return operations


def prior_knowledge(keys: RequestKeys, results: Mapping[str, Any]) -> PriorKnowledge:
    """From the results of `recall_operations`, which may lack some."""
    paces = results.get("pace", ())
    affinity_round, members = results.get("affinity", (0, None))
    stored_rounds, unfinished = results.get("rounds", (0, None))
    return PriorKnowledge(
        quality=dict(zip(keys.devices, results.get("quality", ()), strict=False)),
        seconds=dict(zip(keys.devices, paces[0::2], strict=False)),
        tokens=dict(zip(keys.devices, paces[1::2], strict=False)),
        familiar=frozenset(orjson.loads(members)) if members else frozenset(),
        affinity_round=affinity_round,
        claimed=results.get("claim", ClaimResult(ClaimState.NEW)),
        stored_rounds=stored_rounds,
        unfinished=UnfinishedRequest.loaded(unfinished) if unfinished else None,
    )


def claim_operation(keys: RequestKeys, retention: RetentionTimes) -> Claim:
    """Only with an idempotency key."""
    assert keys.key is not None
    return Claim(
        name=keys.key,
        digest=keys.digest,
        holder=keys.holder,
        lease_s=retention.lease_s,
        ttl_s=retention.idempotency_s,
    )


# During the work, and after it.


def round_operation(
    keys: RequestKeys, stored_rounds: int, report: Report, retention: RetentionTimes
) -> Advance:
    """Stores what is done so far for a replica that may have to take over."""
    unfinished = UnfinishedRequest(
        chosen=report.chosen,
        quorum=report.quorum,
        early_exit=report.early_exit,
        contributions=report.contributions,
    )
    return Advance(
        kind=ROUNDS,
        name=keys.rounds,
        expected=stored_rounds,
        value=unfinished.dumped(),
        ttl_s=retention.idempotency_s,
    )


def complete_operation(
    keys: RequestKeys, answer: bytes | None, retention: RetentionTimes
) -> Complete:
    """Stores the answer under the idempotency key; None gives the claim up."""
    assert keys.key is not None
    return Complete(name=keys.key, holder=keys.holder, answer=answer, ttl_s=retention.idempotency_s)


def settlement_operations(
    *,
    keys: RequestKeys,
    prior: PriorKnowledge,
    answer_id: str,
    answer: bytes | None,
    report: Report,
    evidence: Evidence,
    retention: RetentionTimes,
) -> list[Operation]:
    """What is stored after the work: lessons, the session's members, what feedback needs, and with
    an idempotency key the answer."""
    operations: list[Operation] = list(
        quality_observations(keys.domain, evidence.lessons, retention.half_life_s)
    )
    if report.mode == "members":
        operations += _pace_observations(report.contributions, prior.seconds, retention.half_life_s)
    if evidence.shares:
        operations.append(_feedback_operation(keys, answer_id, evidence, retention))
    if keys.session is not None and evidence.shares:
        operations.append(
            Advance(
                kind=AFFINITY,
                name=keys.session,
                expected=prior.affinity_round,
                value=orjson.dumps(sorted(evidence.shares)),
                ttl_s=retention.affinity_s,
            )
        )
    if keys.key is not None:
        operations.append(complete_operation(keys, answer, retention))
    return operations


def quality_observations(
    domain: str, lessons: Sequence[Lesson], half_life_s: float
) -> list[Observe]:
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


def _pace_observations(
    contributions: Sequence[Contribution], prior_seconds: Mapping[str, Mean], half_life_s: float
) -> list[Observe]:
    observations: list[Observe] = []

    def observe(device: str, what: str, value: float, weight: float = 1.0) -> None:
        observations.append(
            Observe(
                kind=PACE,
                name=f"{device}/{what}",
                value=value,
                weight=weight,
                half_life_s=half_life_s,
            )
        )

    for contribution in contributions:
        if contribution.role != "answer":
            continue
        if contribution.answered:
            observe(contribution.device, "seconds", contribution.seconds)
            observe(contribution.device, "tokens", float(contribution.completion_tokens))
        # A straggler takes longer than the wait for it, which tells something only beyond its mean.
        elif (
            contribution.outcome == "straggler"
            and contribution.seconds > prior_seconds.get(contribution.device, Mean()).value
        ):
            observe(contribution.device, "seconds", contribution.seconds, STRAGGLER_WEIGHT)
    return observations


def _feedback_operation(
    keys: RequestKeys, answer_id: str, evidence: Evidence, retention: RetentionTimes
) -> Advance:
    value = {
        "domain": keys.domain,
        "caller": keys.caller,
        "shares": dict(evidence.judged),
        "vague": list(evidence.vague),
    }
    return Advance(
        kind=ROUNDS,
        name=answer_id,
        expected=0,
        value=orjson.dumps(value),
        ttl_s=retention.feedback_s,
    )
