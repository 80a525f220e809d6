"""When to check drafts in rounds at an engine without a mailbox, and how many in one round. Pure.

A round asks for the next token after each of the first 0 to k drafts at once. It gives the drafts
that agree, and one token more, for the price of k + 1 rows. The plain stream gives one token at a
time, for less. With p(i) for the probability that draft i is right when those before it are, a
round with k drafts gives 1 + p(1) + p(1)p(2) + … tokens (Leviathan et al., 2023, equation 1, where
all p are equal).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from operator import mul
from typing import NamedTuple, Protocol

from gateway.core.speculation.acceptance import Acceptance
from gateway.core.speculation.round_costs import RoundCosts

ENTER = 1.1
"""Rounds begin where they are expected to be this many times as fast as the stream,"""
STAY = 1.0
"""and end where they are no faster. Between the two it stays as it is."""
HOPE = 0.5
"""A trial is of no use where rounds were expected to be slower than this."""
MAX_RUN = 64.0
"""Rounds in a row that the price of going back to the stream is spread over at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPrices:
    """What an engine takes now, in seconds: `token_s` for a token of its plain stream, `round_s`
    for a round with so many rows, `return_s` more for the first token of a stream that begins
    anew."""

    token_s: float
    round_s: Callable[[int], float]
    return_s: float


class RoundChoice(NamedTuple):
    """A round with so many drafts (0: none), and how many times as fast as the stream it is
    expected to be."""

    drafts: int
    gain: float


def expected_tokens(acceptance: Sequence[float]) -> float:
    """What a round gives whose drafts are right with these probabilities, each where those before
    it are."""
    survival: Iterable[float] = accumulate(acceptance, mul)
    return 1.0 + sum(survival)


def best_round(
    acceptance: Sequence[float], prices: RoundPrices, return_share: float
) -> RoundChoice:
    """The best round of at most as many drafts as there are probabilities. `return_share`: the
    share of the price of going back to the stream that this round bears, 0 to 1."""
    best = RoundChoice(0, 0.0)
    for drafts in range(1, len(acceptance) + 1):
        spent_s = prices.round_s(drafts + 1) + prices.return_s * return_share
        gain = expected_tokens(acceptance[:drafts]) * prices.token_s / spent_s
        if gain > best.gain:
            best = RoundChoice(drafts, gain)
    return best


def drafts_that_pay(
    acceptance: Sequence[float], prices: RoundPrices, *, in_rounds: bool, usual_run: float
) -> RoundChoice:
    """The round that is worth more than the stream; without drafts where none is.

    From the stream, a round must also earn its share of the way back, which `usual_run` rounds in
    a row have in common. Once in rounds, that price is due whenever they end.
    """
    share = 0.0 if in_rounds else 1.0 / min(MAX_RUN, max(1.0, usual_run))
    plan = best_round(acceptance, prices, share)
    return plan if plan.gain >= (STAY if in_rounds else ENTER) else RoundChoice(0, plan.gain)


class RoundMode(StrEnum):
    """When an endpoint without a mailbox is asked to check drafts in rounds."""

    NEVER = "never"
    AUTO = "auto"
    ALWAYS = "always"


class RoundRule(Protocol):
    """What decides for one answer between rounds and the stream, and is told what both take.

    `drafts` gives how many of the `available` ones the next round has, 0 for the stream. The others
    tell of times in seconds: `streamed` tokens, `returned` to the stream, a `round` that gave so
    many tokens or was `refused`. `compared` tells which drafts were right, in their order, up to
    the first wrong one.
    """

    def drafts(self, available: int, now: float) -> int: ...

    def streamed(self, tokens: int, seconds: float, now: float) -> None: ...

    def returned(self, seconds: float, now: float) -> None: ...

    def compared(self, right: Sequence[bool]) -> None: ...

    def round(self, rows: int, tokens: int, seconds: float, now: float) -> None: ...

    def refused(self, seconds: float) -> None: ...


class EveryRound:
    """The rule by which drafts are always checked in rounds, whatever those cost."""

    def __init__(self, costs: RoundCosts) -> None:
        pass

    def drafts(self, available: int, now: float) -> int:
        return available

    def streamed(self, tokens: int, seconds: float, now: float) -> None: ...

    def returned(self, seconds: float, now: float) -> None: ...

    def compared(self, right: Sequence[bool]) -> None: ...

    def round(self, rows: int, tokens: int, seconds: float, now: float) -> None: ...

    def refused(self, seconds: float) -> None: ...


class RoundEconomy:
    """The rule by expected tokens a second: rounds where they are faster than the stream.

    `costs` are what all answers of the endpoint have measured. While nobody knows what a round
    takes there, some are tried, within the allowance that `costs` keeps.
    """

    def __init__(self, costs: RoundCosts) -> None:
        self._costs = costs
        self._acceptance = Acceptance(costs.acceptance.mean)
        self._in_rounds = False
        self._run = 0
        self.gain = 0.0

    def drafts(self, available: int, now: float) -> int:
        drafts = self._plan(available, now) if available > 0 else 0
        if not drafts and self._in_rounds:
            self._costs.usual_run.observe(self._run, now)
        self._in_rounds, self._run = drafts > 0, self._run + 1 if drafts else 0
        return drafts

    def streamed(self, tokens: int, seconds: float, now: float) -> None:
        self._costs.streamed(tokens, seconds, now)

    def returned(self, seconds: float, now: float) -> None:
        self._costs.returned(seconds, now)

    def compared(self, right: Sequence[bool]) -> None:
        self._acceptance.record(right)
        self._costs.acceptance.record(right)

    def round(self, rows: int, tokens: int, seconds: float, now: float) -> None:
        self._costs.round(rows, tokens, seconds, now)

    def refused(self, seconds: float) -> None:
        self._costs.lost(seconds)

    def _plan(self, available: int, now: float) -> int:
        costs, acceptance = self._costs, self._acceptance.rates(available)
        if costs.token_s is None:
            return 0
        if not costs.known:
            return available if costs.may_try(now) else 0
        prices = RoundPrices(token_s=costs.token_s, round_s=costs.round_s, return_s=costs.return_s)
        plan = drafts_that_pay(
            acceptance,
            prices,
            in_rounds=self._in_rounds,
            usual_run=costs.usual_run.at(now),
        )
        self.gain = plan.gain
        if plan.drafts:
            return plan.drafts
        return available if plan.gain >= HOPE and costs.may_try(now) else 0


@dataclass(frozen=True, slots=True)
class RoundTerms:
    """How the endpoints of a pool are asked: by which rule, and with at most so many drafts."""

    most_drafts: int
    rule: Callable[[RoundCosts], RoundRule]


RULES: Mapping[RoundMode, Callable[[RoundCosts], RoundRule]] = {
    RoundMode.AUTO: RoundEconomy,
    RoundMode.ALWAYS: EveryRound,
}
