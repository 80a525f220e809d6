"""How likely drafts are right, by their place in a row: measured, and forgotten slowly. Pure."""

from __future__ import annotations

from collections.abc import Sequence

FORGETTING = 0.97
"""What a comparison counts after one more at its place."""
PRIOR_WEIGHT = 2.0
"""Comparisons that the prior of all places counts as."""
PLACE_WEIGHT = 4.0
"""Comparisons that the mean of all places counts as at each."""
UNKNOWN = 0.5
"""Before anything was compared."""


class Acceptance:
    """The probability that a draft is right where those before it in its row are, place by place.

    A place with few comparisons has nearly the mean of all; that mean begins at `prior`.
    """

    def __init__(self, prior: float = UNKNOWN) -> None:
        self._prior = prior
        self._right: list[float] = []
        self._compared: list[float] = []

    @property
    def mean(self) -> float:
        """Over all places."""
        right = sum(self._right) + PRIOR_WEIGHT * self._prior
        return right / (sum(self._compared) + PRIOR_WEIGHT)

    def record(self, right: Sequence[bool]) -> None:
        """Drafts of one row from its first on, up to the first wrong one."""
        missing = len(right) - len(self._right)
        self._right += [0.0] * missing
        self._compared += [0.0] * missing
        for place, agreed in enumerate(right):
            self._right[place] = FORGETTING * self._right[place] + agreed
            self._compared[place] = FORGETTING * self._compared[place] + 1.0

    def rates(self, places: int) -> list[float]:
        """Of the first so many places."""
        mean = self.mean
        return [self._rate(place, mean) for place in range(places)]

    def _rate(self, place: int, mean: float) -> float:
        if place >= len(self._right):
            return mean
        right = self._right[place] + PLACE_WEIGHT * mean
        return right / (self._compared[place] + PLACE_WEIGHT)
