"""What collectives keep in the shared store: one round trip before the work, one after it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.core.collective.learning import Lesson
from gateway.core.collective.report import Part, Report
from gateway.core.ports import CollectiveTelemetry, StateStore
from gateway.core.state.operations import (
    Advance,
    Claim,
    Claimed,
    ClaimState,
    Complete,
    Mean,
    Means,
    Observe,
    Operation,
    Read,
    Spend,
)
from gateway.errors import Conflict, QuotaExceeded, StateLost
from gateway.serving.collective.policy import Policy

QUALITY, PACE, AFFINITY, QUOTA, ROUNDS = "quality", "pace", "affinity", "quota", "collective"
"""Kinds of keys. `pace` holds each device's seconds and tokens per answer."""
IN_VAIN = 0.5
"""Weight of the seconds that were waited for nothing: once is an accident, twice is a pace."""


def hashed(*parts: str) -> str:
    """A name for the store: what callers write is neither shown in it nor of any length."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Query:
    """What a request needs to know. `key` and `digest` only with an idempotency key, `session` only
    where the caller named one; all hashed. `holder` is who works on it."""

    domain: str
    devices: Sequence[str]
    caller: str
    holder: str
    session: str | None = None
    key: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """What a replica leaves of a request: whom it asked first, how many answers it needed, why it
    waited for no more, and what has become of each."""

    asked: Sequence[str]
    quorum: int
    early_exit: str | None
    parts: Sequence[Part]

    def dumped(self) -> bytes:
        return orjson.dumps(
            {
                "asked": list(self.asked),
                "quorum": self.quorum,
                "early_exit": self.early_exit,
                "parts": [part.as_dict() for part in self.parts],
            }
        )

    @classmethod
    def loaded(cls, value: bytes) -> Left:
        found = orjson.loads(value)
        return cls(**{**found, "parts": [Part(**part) for part in found["parts"]]})


@dataclass(frozen=True, slots=True)
class Known:
    """`familiar`: members of the session so far. `stored`: how many rounds another replica, which
    is gone, has left, and what it had done, `left`."""

    quality: Mapping[str, Mean] = field(default_factory=dict)
    seconds: Mapping[str, Mean] = field(default_factory=dict)
    tokens: Mapping[str, Mean] = field(default_factory=dict)
    familiar: frozenset[str] = frozenset()
    affinity_round: int = 0
    claimed: Claimed = Claimed(ClaimState.NEW)
    stored: int = 0
    left: Left | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """What an answer says of its members: `shares` of it that each agrees with, `lessons` on their
    quality, and those of the shares that a caller may judge, `judged`. `vague`: whose shares are of
    words in common."""

    shares: Mapping[str, float] = field(default_factory=dict)
    lessons: Sequence[Lesson] = ()
    judged: Mapping[str, float] = field(default_factory=dict)
    vague: Sequence[str] = ()


class Records:
    def __init__(self, store: StateStore, policy: Policy, telemetry: CollectiveTelemetry) -> None:
        self._store = store
        self._policy = policy
        self._telemetry = telemetry

    async def recall(self, query: Query) -> Known:
        """Raises QuotaExceeded; StateLost only where the request has an idempotency key: without
        the store the same request could be answered twice."""
        asked = self._operations(query)
        if not asked:
            return Known()
        try:
            results = await self._store.run(*asked.values())
        except StateLost:
            self._telemetry.state_lost("recall")
            if query.key is not None:
                raise
            return Known()
        known = _known(query, dict(zip(asked, results, strict=True)))
        wait = dict(zip(asked, results, strict=True)).get("quota", 0.0)
        if wait > 0.0 and known.claimed.state is not ClaimState.DONE:
            if known.claimed.state in (ClaimState.NEW, ClaimState.TAKEN_OVER):
                await self.give_up(query)
            raise QuotaExceeded(
                "as many collective requests as this caller may make for now; wait, or raise "
                "collective.requests_per_minute",
                retry_after=wait,
                code="quota_exceeded",
            )
        return known

    def _operations(self, query: Query) -> dict[str, Operation]:
        found: dict[str, Operation] = {}
        if query.devices:
            found["quality"] = Means(QUALITY, [f"{d}/{query.domain}" for d in query.devices])
            pace = [f"{d}/{what}" for d in query.devices for what in ("seconds", "tokens")]
            found["pace"] = Means(PACE, pace)
        if query.session is not None:
            found["affinity"] = Read(AFFINITY, query.session)
        if self._policy.quota is not None:
            quota = self._policy.quota
            found["quota"] = Spend(QUOTA, query.caller, 1.0, quota.burst, quota.per_s)
        if query.key is not None:
            found["claim"] = self._claim(query)
            found["rounds"] = Read(ROUNDS, _rounds_name(query))
        return found

    def _claim(self, query: Query) -> Claim:
        keep = self._policy.keep
        assert query.key is not None
        return Claim(query.key, query.digest, query.holder, keep.lease_s, keep.idempotency_s)

    async def renew(self, query: Query) -> bool:
        """Keep the claim on an idempotency key. Gives False when it is another's by now, which took
        this replica for dead. Raises StateLost."""
        (claimed,) = await self._store.run(self._claim(query))
        return _ours(claimed)

    async def give_up(self, query: Query) -> None:
        """Let the idempotency key go: the request failed, and may be made again."""
        if query.key is None:
            return
        try:
            await self._store.run(Complete(query.key, query.holder, None, self._keep_s))
        except StateLost:
            self._telemetry.state_lost("give_up")

    async def keep_round(self, query: Query, stored: int, report: Report) -> int:
        """Leave what is done so far to whoever may have to take over; gives the rounds stored.
        Raises Conflict when another has."""
        if query.key is None:
            return stored
        left = Left(report.asked, report.quorum, report.early_exit, report.parts)
        name = _rounds_name(query)
        try:
            claimed, _ = await self._store.run(
                self._claim(query), Advance(ROUNDS, name, stored, left.dumped(), self._keep_s)
            )
        except StateLost:
            self._telemetry.state_lost("keep_round")
            return stored
        if not _ours(claimed):
            raise taken_over()
        return stored + 1

    async def settle(
        self,
        query: Query,
        known: Known,
        answer_id: str,
        answer: bytes | None,
        report: Report,
        learned: Learned,
    ) -> None:
        """After the answer: the lessons, the session's members, what feedback needs, and the stored
        answer, in one round trip. A lost store loses them; the caller has its answer."""
        keep, shares = self._policy.keep, learned.shares
        operations: list[Operation] = list(self.observations(query.domain, learned.lessons))
        if report.mode == "members":
            operations += _pace(report.parts, known.seconds, keep.half_life_s)
        if shares:
            told = orjson.dumps(
                {
                    "domain": query.domain,
                    "shares": dict(learned.judged),
                    "vague": list(learned.vague),
                }
            )
            operations.append(Advance(ROUNDS, answer_id, 0, told, keep.feedback_s))
        if query.session is not None and shares:
            members = orjson.dumps(sorted(shares))
            operations.append(
                Advance(AFFINITY, query.session, known.affinity_round, members, keep.affinity_s)
            )
        if query.key is not None:
            operations.append(Complete(query.key, query.holder, answer, self._keep_s))
        if not operations:
            return
        try:
            await self._store.run(*operations)
        except StateLost:
            self._telemetry.state_lost("settle")

    def observations(self, domain: str, lessons: Sequence[Lesson]) -> list[Observe]:
        half_life_s = self._policy.keep.half_life_s
        return [
            Observe(QUALITY, f"{lesson.device}/{domain}", lesson.value, lesson.weight, half_life_s)
            for lesson in lessons
        ]

    @property
    def _keep_s(self) -> float:
        return self._policy.keep.idempotency_s


def _ours(claimed: Claimed) -> bool:
    return claimed.state in (ClaimState.NEW, ClaimState.TAKEN_OVER)


def taken_over() -> Conflict:
    """Another replica took this one for dead, and answers in its place."""
    return Conflict(
        "idempotency-key: another replica has taken this request over; ask again with the same key",
        param="idempotency-key",
        code="idempotency_running",
    )


def _rounds_name(query: Query) -> str:
    # With the body's digest: rounds of another request under the same key must not be taken up.
    return f"{query.key}/{query.digest}"


def _known(query: Query, found: Mapping[str, Any]) -> Known:
    quality = dict(zip(query.devices, found.get("quality", ()), strict=False))
    pace = found.get("pace", ())
    round_, value = found.get("affinity", (0, None))
    stored, left = found.get("rounds", (0, None))
    return Known(
        quality,
        dict(zip(query.devices, pace[0::2], strict=False)),
        dict(zip(query.devices, pace[1::2], strict=False)),
        frozenset(orjson.loads(value)) if value else frozenset(),
        round_,
        found.get("claim", Claimed(ClaimState.NEW)),
        stored,
        Left.loaded(left) if left else None,
    )


def _pace(
    parts: Sequence[Part], seconds: Mapping[str, Mean], half_life_s: float
) -> list[Operation]:
    found: list[Operation] = []

    def observe(device: str, what: str, value: float, weight: float = 1.0) -> None:
        found.append(Observe(PACE, f"{device}/{what}", value, weight, half_life_s))

    for part in parts:
        if part.role != "answer":
            continue
        if part.answered:
            observe(part.device, "seconds", part.seconds)
            observe(part.device, "tokens", float(part.completion_tokens))
        # It would have taken longer than it was waited for: how much longer is not known.
        elif part.outcome == "straggler" and part.seconds > _expected(seconds, part.device):
            observe(part.device, "seconds", part.seconds, IN_VAIN)
    return found


def _expected(seconds: Mapping[str, Mean], device: str) -> float:
    return seconds.get(device, Mean()).value
