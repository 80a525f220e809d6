"""What is known of a collective request before the work, and what it leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from gateway.core.collective.lessons import Lesson
from gateway.core.collective.report import Part
from gateway.core.state.operations import Claimed, ClaimState, Mean


def hashed(*parts: str) -> str:
    """A name for the store: what callers write is neither shown in it nor of any length."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRequest:
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
    def loaded(cls, value: bytes) -> UnfinishedRequest:
        found = orjson.loads(value)
        return cls(**{**found, "parts": [Part(**part) for part in found["parts"]]})


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBefore:
    """`quality` 0 to 1 in the query's domain, `seconds` and `tokens` per answer: of each device.
    `familiar`: members of the session so far. `stored`: how many rounds another replica, which
    is gone, has left, and what it had done, `left`."""

    quality: Mapping[str, Mean] = field(default_factory=dict)
    seconds: Mapping[str, Mean] = field(default_factory=dict)
    tokens: Mapping[str, Mean] = field(default_factory=dict)
    familiar: frozenset[str] = frozenset()
    affinity_round: int = 0
    claimed: Claimed = Claimed(ClaimState.NEW)
    stored: int = 0
    left: UnfinishedRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an answer says of its members: `shares` of it that each agrees with, `lessons` on their
    quality, and those of the shares that a caller may judge, `judged`. `vague`: whose shares are of
    words in common."""

    shares: Mapping[str, float] = field(default_factory=dict)
    lessons: Sequence[Lesson] = ()
    judged: Mapping[str, float] = field(default_factory=dict)
    vague: Sequence[str] = ()
