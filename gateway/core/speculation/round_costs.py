"""What rounds and the plain stream take at one endpoint, as all its answers have measured. Pure.

Times are in seconds. Whoever measures must not slow others down for it: trials of rounds draw on an
allowance, which plain streaming fills by a small share of its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.endpoints.estimate import Estimate
from gateway.core.speculation.acceptance import Acceptance

FORGETTING = 0.95
"""What a round counts after one more."""
ROUNDS_TO_KNOW = 3
TOKENS_TO_KNOW = 8
FIRST_ALLOWANCE_S = 0.5
ALLOWANCE_SHARE = 0.01
"""Of the time of plain streaming, which trials may cost."""
MAX_ALLOWANCE_S = 2.0
STALE_S = 30.0
"""Rounds that were measured longer ago are worth another trial."""
SPREAD = 0.05
"""Rows vary too little for a slope below this variance."""


@dataclass(slots=True, kw_only=True)
class RoundTimes:
    """A line through the rounds' times over their rows: least squares, older rounds count less."""

    rounds: int = 0
    _weight: float = 0.0
    _rows: float = 0.0
    _seconds: float = 0.0
    _squares: float = 0.0
    _products: float = 0.0

    def observe(self, rows: int, seconds: float) -> None:
        self.rounds += 1
        self._weight = FORGETTING * self._weight + 1.0
        self._rows = FORGETTING * self._rows + rows
        self._seconds = FORGETTING * self._seconds + seconds
        self._squares = FORGETTING * self._squares + rows * rows
        self._products = FORGETTING * self._products + rows * seconds

    def at(self, rows: int) -> float:
        """What a round with so many rows takes. Where all rounds had nearly the same number, more
        rows take more in proportion, and fewer take no less. Only after a first round."""
        mean_rows, mean_s = self._rows / self._weight, self._seconds / self._weight
        variance = self._squares / self._weight - mean_rows**2
        if variance < SPREAD:
            return mean_s * max(1.0, rows / mean_rows)
        slope = (self._products / self._weight - mean_rows * mean_s) / variance
        slope = min(max(slope, 0.0), mean_s / mean_rows)
        return mean_s + slope * (rows - mean_rows)


@dataclass(slots=True, kw_only=True)
class RoundCosts:
    """The measured costs of one endpoint, and the allowance for trials.

    `acceptance` is that of all its answers, from which a new answer starts. `usual_run` estimates
    how many rounds follow one another.
    """

    acceptance: Acceptance = field(default_factory=Acceptance)
    usual_run: Estimate = field(default_factory=lambda: Estimate(prior=1.0))
    allowance_s: float = FIRST_ALLOWANCE_S
    _times: RoundTimes = field(default_factory=RoundTimes)
    _token: Estimate = field(default_factory=lambda: Estimate(prior=0.0, weight=0.05))
    _tokens: int = 0
    _return: Estimate = field(default_factory=lambda: Estimate(prior=0.0))
    _measured: float = float("-inf")

    @property
    def known(self) -> bool:
        """Whether enough rounds were measured."""
        return self._times.rounds >= ROUNDS_TO_KNOW

    @property
    def token_s(self) -> float | None:
        """Of a token of the plain stream; None until enough of them came."""
        return self._token.mean if self._tokens >= TOKENS_TO_KNOW else None

    @property
    def return_s(self) -> float:
        """How much later than another token the first one of a new stream comes. Until one was
        measured it is a round's first row."""
        first_s = self._return.mean
        if first_s is None:
            first_s = self._times.at(1) if self._times.rounds else 0.0
        return max(0.0, first_s - (self._token.mean or 0.0))

    def round_s(self, rows: int) -> float:
        """Only once rounds are known."""
        return self._times.at(rows)

    def may_try(self, now: float) -> bool:
        """Whether a round may be tried that is not expected to pay."""
        stale = not self.known or now - self._measured > STALE_S
        return stale and self.allowance_s > 0.0

    def streamed(self, tokens: int, seconds: float, now: float) -> None:
        self._tokens += tokens
        self._token.observe(seconds / tokens, now)
        earned = self.allowance_s + ALLOWANCE_SHARE * seconds
        self.allowance_s = min(MAX_ALLOWANCE_S, earned)

    def returned(self, seconds: float, now: float) -> None:
        self._return.observe(seconds, now)
        self.lost(seconds - (self._token.mean or 0.0))

    def round(self, rows: int, tokens: int, seconds: float, now: float) -> None:
        self._measured = now
        self._times.observe(rows, seconds)
        self.lost(seconds - tokens * (self._token.mean or 0.0))

    def lost(self, seconds: float) -> None:
        """So much longer than plain streaming it took."""
        if seconds > 0.0:
            self.allowance_s -= seconds
