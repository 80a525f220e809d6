"""How often drafts prove right, learned from what the verifier confirms. Pure."""

from __future__ import annotations

from bisect import bisect_right

EDGES = (0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 0.999)
"""Bounds of the classes into which guesses fall by the drafter's own confidence in them."""

MEMORY = 400.0
"""Tokens after which an observation counts 1/e: a few answers, so that a new subject shows."""

PRIOR_WEIGHT = 4.0
PRIOR_SECOND = 0.5
PRIOR_OVERALL = 0.8
OVERALL_WEIGHT = 80.0
"""Of the prior of the rate by which the device decides whether to draft at all. One or two unlucky
answers must not end that: who does not draft learns little of how good the drafts would be."""


class DecayingRate:
    """The rate at which something holds, over past observations whose weight decays."""

    def __init__(self, prior: float, weight: float = PRIOR_WEIGHT, memory: float = MEMORY) -> None:
        self._true = prior * weight
        self._all = weight
        self._keep = 1 - 1 / memory

    @property
    def value(self) -> float:
        return self._true / self._all

    def learn(self, holds: bool) -> None:
        self._true = self._true * self._keep + holds
        self._all = self._all * self._keep + 1


class Acceptance:
    """The acceptance rate of a drafter's guesses at one verifier, by the drafter's confidence.

    It calibrates that confidence: small models are more confident than they are right.
    """

    def __init__(self) -> None:
        bounds = zip((0.0, *EDGES), (*EDGES, 1.0), strict=True)
        middles = [(low + high) / 2 for low, high in bounds]
        self._rates = [DecayingRate(middle) for middle in middles]
        self._second = DecayingRate(PRIOR_SECOND)
        self.overall = DecayingRate(PRIOR_OVERALL, OVERALL_WEIGHT)

    def of(self, probability: float) -> float:
        """The chance that a guess of this confidence is right, if the text before it is."""
        return self._rates[bisect_right(EDGES, probability)].value

    @property
    def second(self) -> float:
        """The chance that the second guess is right where the first is wrong."""
        return self._second.value

    def learn(self, probability: float, right: bool) -> None:
        self._rates[bisect_right(EDGES, probability)].learn(right)
        self.overall.learn(right)

    def learn_second(self, right: bool) -> None:
        self._second.learn(right)
