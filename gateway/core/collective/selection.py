"""Whom to ask: members scored by how well they fit the question and how good they proved to be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.collective.options import Pick
from gateway.core.devices.member import Member
from gateway.core.devices.privacy import answers
from gateway.core.state.operations import Mean

FLOOR = 0.1
"""The fit of a member whose description has nothing to do with the question: measured quality
still tells such members apart."""
FAMILIAR = 1.25
"""Factor for members that answered this session before."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is held of a member of whom nothing is known; `weight` in observations."""

    quality: float = 0.5
    weight: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """`similarity` of description and question, -1 to 1; `tokens` and `seconds` are what it is
    expected to take for an answer."""

    member: Member
    similarity: float
    quality: Mean
    seconds: float
    tokens: float
    familiar: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """`merit`: its score without the bonus for familiarity, the weight of its vote."""

    candidate: Candidate
    merit: float
    score: float

    @property
    def id(self) -> str:
        return self.candidate.member.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Bounds for one round: members, seconds each, tokens and cost of all together. `price` is per
    token."""

    members: int
    seconds: float = math.inf
    tokens: float = math.inf
    cost: float = math.inf
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """`spare`: who stands in for one that fails, best first. `left_out`: why others were not
    asked, by id."""

    chosen: Sequence[Scored]
    spare: Sequence[Scored]
    left_out: Mapping[str, str]


def expected_quality(seen: Mean, prior: Prior) -> float:
    """The mean of what was seen, drawn to the prior while that is little."""
    weight = seen.weight + prior.weight
    if weight <= 0.0:
        return prior.quality
    return (seen.value * seen.weight + prior.quality * prior.weight) / weight


def scored(candidate: Candidate, prior: Prior) -> Scored:
    """Fit times quality (the paper's step 1, section IV-A, with a measured factor)."""
    fit = FLOOR + (1.0 - FLOOR) * min(1.0, max(0.0, candidate.similarity))
    merit = max(1e-6, fit * expected_quality(candidate.quality, prior))
    return Scored(candidate, merit, merit * (FAMILIAR if candidate.familiar else 1.0))


def obstacle(member: Member, pick: Pick, owner: str) -> str | None:
    """Why a member can't be asked now; None: it can. `owner`: whose device the caller proved to
    be, or ""."""
    if pick.names and member.id not in pick.names:
        return "not-named"
    if pick.tags and not pick.tags & member.tags:
        return "tags"
    if not answers(member, owner):
        return "private"
    if "generate" not in member.abilities:
        return "unable"
    if member.condition.hot:
        return "hot"
    if member.condition.working >= member.max_work:
        return "busy"
    return None


def choose(
    candidates: Sequence[Candidate], caps: Caps, prior: Prior, always: str = ""
) -> Selection:
    """The best that the caps allow, best first; equal scores go by id, so that replicas agree.

    One that would break a cap is passed over, and cheaper ones after it may still be taken.
    One beyond the number stands by if it could take the place of any that was chosen. `always`: the
    id of one that comes before all others.
    """
    ranked = sorted(
        (scored(candidate, prior) for candidate in candidates),
        key=lambda s: (s.id != always, -s.score, s.id),
    )
    chosen: list[Scored] = []
    spare: list[Scored] = []
    left_out: dict[str, str] = {}
    tokens = 0.0
    for one in ranked:
        full = len(chosen) >= caps.members
        freed = min((other.candidate.tokens for other in chosen), default=0.0) if full else 0.0
        more = tokens - freed + one.candidate.tokens
        if one.candidate.seconds > caps.seconds:
            left_out[one.id] = "deadline"
        elif more > caps.tokens:
            left_out[one.id] = "tokens"
        elif more * caps.price > caps.cost:
            left_out[one.id] = "cost"
        elif full:
            spare.append(one)
        else:
            chosen.append(one)
            tokens = more
    return Selection(chosen, spare, left_out)
