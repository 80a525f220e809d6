"""How likely a draft token is right, by its place in the step, as measured. Pure."""

from __future__ import annotations

from collections.abc import Sequence

PLACES = 8
"""Places that are told apart; all beyond count with the last."""
SESSION_DECAY = 0.97
SHARED_DECAY = 0.995
"""What a count is worth after one more step of the session, and of any session."""
PRIOR_TRIALS = 6.0
"""How many tokens of a session's own weigh as much as what others' drafts did."""
BEGINNING = 0.9
"""The chance before anything is known: high, so that drafts are tried."""
MOST_WEIGHT = 1e6
LEAST_CHANCE = 0.01
"""A token less likely to come out is not looked at."""


class SharedAcceptance:
    """What became of all sessions' drafts: the expectation of a session that has none yet.

    `at` has, by place, the chance that a token is right where all before it are.
    """

    def __init__(self) -> None:
        self._right = [BEGINNING * PRIOR_TRIALS] * PLACES
        self._tried = [PRIOR_TRIALS] * PLACES
        self.at = [BEGINNING] * PLACES

    def observe(self, offered: int, accepted: int) -> None:
        """A step took `offered` tokens of one session, of which the first `accepted` were right."""
        for trial in range(accepted + (accepted < offered)):
            place = min(trial, PLACES - 1)
            self._right[place] = SHARED_DECAY * self._right[place] + (trial < accepted)
            self._tried[place] = SHARED_DECAY * self._tried[place] + 1.0
            self.at[place] = self._right[place] / self._tried[place]


class SessionAcceptance:
    """One session's: its own counts, pulled towards those of its other places and of others."""

    def __init__(self, shared: SharedAcceptance) -> None:
        self._shared = shared
        self._right = [0.0] * PLACES
        self._tried = [0.0] * PLACES
        self._weight = 1.0
        """Of an observation now: rather than to lower all counts, the next ones weigh more."""
        self._chances: list[float] | None = None

    def observe(self, offered: int, accepted: int) -> None:
        """As of `SharedAcceptance`, which learns of it too. A token after a wrong one is no trial:
        it was never asked about."""
        self._shared.observe(offered, accepted)
        self._weight /= SESSION_DECAY
        if self._weight > MOST_WEIGHT:
            self._right = [count / self._weight for count in self._right]
            self._tried = [count / self._weight for count in self._tried]
            self._weight = 1.0
        for trial in range(accepted + (accepted < offered)):
            place = min(trial, PLACES - 1)
            self._right[place] += self._weight * (trial < accepted)
            self._tried[place] += self._weight
        self._chances = None

    def chances(self, count: int) -> Sequence[float]:
        """The chance of each of the first `count` tokens to come out, which takes all before it to
        be right as well: never rising. Fewer where the next would be below LEAST_CHANCE."""
        if self._chances is None or len(self._chances) < count:
            self._chances = self._products(count)
        return self._chances[:count]

    def _products(self, count: int) -> list[float]:
        prior = PRIOR_TRIALS * self._weight
        right, tried = sum(self._right), sum(self._tried) + prior
        product, products, at = 1.0, [], 1.0
        for place in range(count):
            if place < PLACES:
                own = (right + prior * self._shared.at[place]) / tried
                at = (self._right[place] + prior * own) / (self._tried[place] + prior)
            product *= at
            if product < LEAST_CHANCE:
                break
            products.append(product)
        return products
