"""How often drafts prove right, learned from what the verifier says. Pure."""

from __future__ import annotations

from bisect import bisect_right

EDGES = (0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 0.999)
"""Guesses are told apart by the drafter's own confidence in them, in these steps."""

MEMORY = 400.0
"""Tokens after which an observation counts 1/e: some answers, so that a new subject shows."""

PRIOR_WEIGHT = 4.0
PRIOR_SECOND = 0.5


class Share:
    """A share of yes among yes and no, that forgets slowly."""

    def __init__(self, prior: float, weight: float = PRIOR_WEIGHT, memory: float = MEMORY) -> None:
        self._yes = prior * weight
        self._all = weight
        self._keep = 1 - 1 / memory

    @property
    def value(self) -> float:
        return self._yes / self._all

    @property
    def weight(self) -> float:
        """Observations that count, the prior's among them."""
        return self._all

    def learn(self, yes: bool) -> None:
        self._yes = self._yes * self._keep + yes
        self._all = self._all * self._keep + 1


class Acceptance:
    """Calibrates the drafter's confidence: small models are surer than they are right."""

    def __init__(self) -> None:
        middles = [(a + b) / 2 for a, b in zip((0.0, *EDGES), (*EDGES, 1.0), strict=True)]
        self._shares = [Share(middle) for middle in middles]
        self._second = Share(PRIOR_SECOND)
        self.overall = Share(0.8)

    def of(self, probability: float) -> float:
        """The chance that a guess of this confidence is right, if all before it is."""
        return self._shares[bisect_right(EDGES, probability)].value

    @property
    def second(self) -> float:
        """The chance that the second guess is right where the first is wrong."""
        return self._second.value

    def learn(self, probability: float, right: bool) -> None:
        self._shares[bisect_right(EDGES, probability)].learn(right)
        self.overall.learn(right)

    def learn_second(self, right: bool) -> None:
        self._second.learn(right)
