"""Whether tiers in the middle of a chain are worth asking: measured, with hysteresis. Pure.

Of the times that a usual answer takes without and with a tier, the quotient is the tier's gain.
Where it is below 1, answers go without the tier. Every so many answers the other way is tried, the
rarer the clearer the difference is, so that a change of conditions is noticed (as bandits explore;
here with a bound on what that costs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import log, sqrt

from gateway.core.bounded_dict import BoundedDict

MARGIN = 1.05
"""The gain from which on a tier that was left out comes back."""
DOUBT = 0.5
"""By so many standard errors the gain must be beyond 1, or MARGIN, before a tier leaves or comes
back: answers differ in their pace by half, for the same tiers."""
FORGETTING = 0.9
"""What an answer counts after one more of the same way."""
KNOWN = 2.5
"""Answers, by what they count still, from which on a pace is known."""
SURPRISE = 1.2
"""A try that takes less than what is known by more than this factor, and by more than answers
usually differ, is soon followed by another."""
UNKNOWN_EVERY, TRY_EVERY, CLEARNESS, RAREST = 2, 4, 40.0, 256
"""Answers between two tries of another way: the first while its pace is not known, the second where
there is no difference; more by so much times the logarithm of the quotient; the last at most."""
MAX_GAINS = 4096
"""Chains, with who drafts for them, whose gains are kept."""


@dataclass(slots=True, kw_only=True)
class Pace:
    """How answers come in one way: the seconds to their first tokens, and the tokens after those
    with their seconds. Recent ones count more. `spread` is the mean square of how far answers were
    from it, as logarithms."""

    answers: float = 0.0
    first_s: float = 0.0
    tokens: float = 0.0
    rest_s: float = 0.0
    spread: float = 0.0

    def add(self, tokens: int, first_s: float, rest_s: float) -> None:
        if self.known and (surprise := self.surprise(tokens, first_s, rest_s)) is not None:
            self.spread = FORGETTING * self.spread + (1.0 - FORGETTING) * surprise**2
        self.answers = FORGETTING * self.answers + 1.0
        self.first_s = FORGETTING * self.first_s + first_s
        self.tokens = FORGETTING * self.tokens + tokens
        self.rest_s = FORGETTING * self.rest_s + rest_s

    @property
    def known(self) -> bool:
        return self.answers >= KNOWN

    def seconds(self, tokens: float) -> float:
        """For an answer of so many tokens after the first ones."""
        per_token = self.rest_s / self.tokens if self.tokens else 0.0
        return self.first_s / self.answers + tokens * per_token

    def surprise(self, tokens: int, first_s: float, rest_s: float) -> float | None:
        """The logarithm of what was expected of an answer by what it took."""
        expected, took = self.seconds(tokens), first_s + rest_s
        return log(expected / took) if expected > 0.0 and took > 0.0 else None


@dataclass(slots=True, kw_only=True)
class TierGain:
    """The tiers in the middle of one chain, by their names, and which of them are used now: all at
    first."""

    tiers: tuple[str, ...]
    used: frozenset[str] = field(init=False)
    _paces: dict[frozenset[str], Pace] = field(default_factory=dict)
    _since_try: int = 0
    _tries: int = 0
    _surprised: bool = False

    def __post_init__(self) -> None:
        self.used = frozenset(self.tiers)

    def choose(self) -> frozenset[str]:
        """The tiers that the next answer is to have: mostly those in use, sometimes one more or
        one less."""
        if not self.tiers:
            return self.used
        self._since_try += 1
        other = self.used ^ {self.tiers[self._tries % len(self.tiers)]}
        if self._since_try < self._pause(other):
            return self.used
        self._since_try = 0
        self._tries += 1
        return other

    def observe(self, used: Iterable[str], tokens: int, first_s: float, rest_s: float) -> None:
        """An answer with these tiers had its first tokens after `first_s`, and `tokens` more
        `rest_s` later."""
        if first_s + rest_s <= 0.0:
            return
        way = frozenset(used)
        pace = self._paces.setdefault(way, Pace())
        if way != self.used:
            surprise = pace.surprise(tokens, first_s, rest_s) if pace.known else None
            least = max(log(SURPRISE), sqrt(pace.spread))
            self._surprised = surprise is not None and surprise > least
        pace.add(tokens, first_s, rest_s)
        for tier in self.tiers:
            if self._is_misplaced(tier):
                self.used ^= {tier}
                return

    def gain(self, tier: str) -> float | None:
        """The time of a usual answer without the tier by that with it, beside the others in use;
        None: not known yet."""
        return self._quotient(self.used - {tier}, self.used | {tier})

    def left_out(self) -> Iterator[tuple[str, float]]:
        """The tiers that are not in use, with their gains."""
        for tier in self.tiers:
            gain = self.gain(tier)
            if tier not in self.used and gain is not None:
                yield tier, gain

    def _is_misplaced(self, tier: str) -> bool:
        gain = self.gain(tier)
        if gain is None:
            return False
        ways = (self.used - {tier}, self.used | {tier})
        error = sqrt(sum(pace.spread / pace.answers for pace in map(self._paces.__getitem__, ways)))
        if tier in self.used:
            return log(gain) < -DOUBT * error
        return log(gain) > log(MARGIN) + DOUBT * error

    def _quotient(self, slower: frozenset[str], faster: frozenset[str]) -> float | None:
        one, other = self._paces.get(slower), self._paces.get(faster)
        if one is None or other is None or not (one.known and other.known):
            return None
        # Of the same length for both, else what was asked would count, and not who answered.
        usual = (one.tokens + other.tokens) / (one.answers + other.answers)
        return one.seconds(usual) / other.seconds(usual)

    def _pause(self, other: frozenset[str]) -> float:
        quotient = self._quotient(self.used, other)
        if quotient is None:
            return UNKNOWN_EVERY
        if self._surprised:
            return TRY_EVERY
        return min(RAREST, TRY_EVERY * (1.0 + CLEARNESS * abs(log(quotient))))


class TierGains:
    """The gains of all chains. They depend on who drafts for the lowest tier in the middle: one
    device's drafts leave a tier nothing to add, another's are of no use without it."""

    def __init__(self) -> None:
        self._gains: BoundedDict[tuple[str, str, str], TierGain] = BoundedDict(MAX_GAINS)

    def of(self, *, chain: str, model: str, drafter: str, tiers: Iterable[str]) -> TierGain:
        """`chain` names its tiers, `model` decides, `drafter` is "" where nobody drafts below."""
        key = (chain, model, drafter)
        gain = self._gains.get(key)
        if gain is None:
            gain = self._gains[key] = TierGain(tiers=tuple(tiers))
        return gain

    def left_out(self) -> list[str]:
        """What is not in use, in words; devices are counted, not named."""
        found: dict[tuple[str, str, str], list[float]] = {}
        for (chain, model, _), tiers in self._gains.items():
            for tier, gain in tiers.left_out():
                found.setdefault((tier, model, chain), []).append(gain)
        return [
            f"{tier} for {model} in {chain} (measured gain {min(gains):.2f}"
            + (f" and more, with {len(gains)} devices)" if len(gains) > 1 else ")")
            for (tier, model, chain), gains in found.items()
        ]
