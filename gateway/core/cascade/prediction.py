"""A small model's answer as a prediction of a larger one's: what of it to offer, and where.

A prediction goes on after a difference, where the larger model's text comes back to it: as
prompt-lookup decoding does (Saxena, 2023), with the small answer as the text that is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.speculation.job import DraftRun

BEFORE = 4
"""Ids before a run that tell which text it continues."""

GRAM = 3
"""Verified ids that are looked up at most to find the prediction's place again."""

NEAR = 4
"""A single id, which may stand anywhere by chance, counts only this close to where it should."""


def runs(
    ids: Sequence[int], per_step: int, start: int = 0, before: Sequence[int] = ()
) -> list[DraftRun]:
    """`ids`, which stand from output position `start` on after `before`, in runs of `per_step` at
    most, each with up to BEFORE ids that precede it."""
    if per_step < 1:
        return []
    whole = [*before, *ids]
    offset = len(before)
    return [
        (
            start + place,
            list(ids[place : place + per_step]),
            whole[max(0, offset + place - BEFORE) : offset + place],
        )
        for place in range(0, len(ids), per_step)
    ]


def resume(verified: Sequence[int], predicted: Sequence[int], near: int) -> int | None:
    """Where in `predicted` the text is that comes after `verified`; None: it isn't found.

    The longest of the last ids that occurs decides, up to GRAM, then the place nearest to `near`.
    """
    for size in range(min(GRAM, len(verified)), 0, -1):
        tail = list(verified[-size:])
        places = [
            place
            for place in range(size, len(predicted))
            if list(predicted[place - size : place]) == tail
            and (size > 1 or abs(place - near) <= NEAR)
        ]
        if places:
            return min(places, key=lambda place: (abs(place - near), place))
    return None


@dataclass(slots=True, kw_only=True)
class Prediction:
    """The drafts that a lower tier's answer gives while the top tier makes its own: what is
    offered of `predicted` at each point.

    `verified` are the ids so far, `kept` counts those that equal what was offered at their place.
    """

    predicted: Sequence[int]
    per_step: int
    verified: list[int] = field(default_factory=list)
    kept: int = 0
    _offered: dict[int, int] = field(default_factory=dict)
    _shift: int = 0
    _lost: bool = False

    def begin(self) -> list[DraftRun]:
        return self._offer(0)

    def advance(self, ids: Sequence[int]) -> list[DraftRun]:
        """Go on by the next ids of the verified answer; gives what is to be offered anew, which is
        mostly nothing."""
        wrong = False
        for token in ids:
            offered = self._offered.pop(len(self.verified), None)
            self.kept += offered == token
            wrong = wrong or (offered is not None and offered != token)
            self.verified.append(token)
        if not (wrong or self._lost):
            return []
        self._offered.clear()
        near = len(self.verified) + self._shift
        place = resume(self.verified, self.predicted, near)
        self._lost = place is None
        if place is None:
            return []
        self._shift = place - len(self.verified)
        return self._offer(place)

    def _offer(self, place: int) -> list[DraftRun]:
        """The prediction from `place` on, for the positions that come next."""
        start, ids = len(self.verified), self.predicted[place:]
        if self.per_step < 1:
            return []
        self._offered = {start + number: token for number, token in enumerate(ids)}
        return runs(ids, self.per_step, start, self.verified[-BEFORE:])
