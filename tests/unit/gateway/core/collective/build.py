"""Short ways to build what the collective's rules talk about."""

from __future__ import annotations

from typing import Any

from gateway.core.collective.answers import Reading
from gateway.core.collective.selection import Candidate
from gateway.core.collective.voting import Ballot
from gateway.core.devices.member import Member
from gateway.core.state.operations import Mean


def ballots(*texts: str, weights: tuple[float, ...] = ()) -> list[Ballot]:
    given = weights or (1.0,) * len(texts)
    return [
        Ballot(voter=f"m{i}", reading=Reading(t), weight=w)
        for i, (t, w) in enumerate(zip(texts, given, strict=True))
    ]


def member(id: str, **fields: Any) -> Member:
    given: dict[str, Any] = {"abilities": frozenset({"generate"}), **fields}
    return Member(id=id, instance="instance", description="", models=[], **given)


def candidate(
    id: str,
    similarity: float = 0.5,
    quality: float = 0.5,
    seen: float = 0.0,
    seconds: float = 1.0,
    tokens: float = 10.0,
    familiar: bool = False,
) -> Candidate:
    return Candidate(
        member=member(id),
        similarity=similarity,
        quality=Mean(quality, seen),
        seconds=seconds,
        tokens=tokens,
        familiar=familiar,
    )
