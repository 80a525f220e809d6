"""The selection of members, by how well they fit the question and how good they proved to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.collective.options import MemberFilter
from gateway.core.devices.member import Member, may_see
from gateway.core.privacy import PrivacyTerms
from gateway.core.state.operations import Mean

FLOOR = 0.1
"""The fit of a member whose description has nothing to do with the question. It is above 0, so that
measured quality still tells such members apart."""
FAMILIAR = 1.25
"""The factor for members that answered in this session before."""


@dataclass(frozen=True, slots=True)
class Prior:
    """The quality that is expected of a member without observations; `weight` in observations."""

    quality: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A member that may be chosen. `similarity` of description and question: -1 to 1. `seconds` and
    `tokens` (prompt and answer) are what an answer of its is expected to take."""

    member: Member
    similarity: float
    quality: Mean
    seconds: float
    tokens: float
    familiar: bool = False


@dataclass(frozen=True, slots=True)
class ScoredMember:
    """A candidate with its score. `merit`, the score without the bonus for familiarity, is the
    weight of its vote."""

    candidate: Candidate
    merit: float
    score: float

    @property
    def id(self) -> str:
        return self.candidate.member.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The bounds of one round: the number of members, the seconds of each, and the tokens and the
    cost of all together. `price` is per token."""

    members: int
    seconds: float = math.inf
    tokens: float = math.inf
    cost: float = math.inf
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """The members to ask, and those that take the place of one that fails, both best first."""

    chosen: Sequence[ScoredMember]
    spare: Sequence[ScoredMember]


def expected_quality(observed: Mean, prior: Prior) -> float:
    """The mean of the observations and the prior, weighted by their numbers."""
    weight = observed.weight + prior.weight
    if weight <= 0.0:
        return prior.quality
    return (observed.value * observed.weight + prior.quality * prior.weight) / weight


def scored(candidate: Candidate, prior: Prior) -> ScoredMember:
    """The score is fit times quality (the paper's step 1, section IV-A, with measured quality)."""
    fit = FLOOR + (1.0 - FLOOR) * min(1.0, max(0.0, candidate.similarity))
    merit = max(1e-6, fit * expected_quality(candidate.quality, prior))
    return ScoredMember(candidate, merit, merit * (FAMILIAR if candidate.familiar else 1.0))


def obstacle(member: Member, filter: MemberFilter, owner: str, privacy: PrivacyTerms) -> str | None:
    """Why a member can't be asked now; None: it can. `owner`: the owner that the caller has proven
    to act for, or ""."""
    if filter.ids and member.id not in filter.ids:
        return "not-named"
    if filter.tags and not filter.tags & member.tags:
        return "tags"
    if not may_see(member, owner, privacy):
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
    """The best members that the caps allow. Equal scores are ordered by id, so that replicas agree.

    A member that would break a cap is left out, and cheaper ones after it may still be chosen. Once
    enough are chosen, a further one is spare if it could take the place of any of them within the
    caps. `always`: the id of one that comes before all others.
    """
    ranked = sorted(
        (scored(candidate, prior) for candidate in candidates),
        key=lambda s: (s.id != always, -s.score, s.id),
    )
    chosen: list[ScoredMember] = []
    spare: list[ScoredMember] = []
    tokens = 0.0
    for member in ranked:
        full = len(chosen) >= caps.members
        # A spare member takes the place of a chosen one: at worst the one with the fewest tokens.
        freed = min((other.candidate.tokens for other in chosen), default=0.0) if full else 0.0
        total = tokens - freed + member.candidate.tokens
        if (
            member.candidate.seconds > caps.seconds
            or total > caps.tokens
            or total * caps.price > caps.cost
        ):
            continue
        if full:
            spare.append(member)
        else:
            chosen.append(member)
            tokens = total
    return Selection(chosen, spare)
