"""Whether tiers in the middle of a chain are worth asking: measured, with hysteresis. Pure.

Of the speeds at which answers come with and without a tier, the quotient is the tier's gain. Where
it is below 1, answers go without the tier. Every so many answers the other way is tried, the rarer
the clearer the difference is, so that a change of conditions is noticed (as bandits explore; here
with a bound on what that costs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import log

from gateway.core.bounded_dict import BoundedDict

MARGIN = 1.05
"""The gain from which on a tier that was left out comes back."""
FORGETTING = 0.9
"""What an answer counts after one more of the same way."""
KNOWN = 2.5
"""Answers, by what they count still, from which on a speed is known."""
LEAST_TOKENS = 8
"""Tokens of an answer from which on it says how fast answers come."""
SURPRISE = 1.2
"""A try that is faster than what is known by more is soon followed by another."""
TRY_EVERY, CLEARNESS, RAREST = 4, 40.0, 256
"""Answers between two tries of another way: the first while its speed is not known, or there is no
difference; more by so much times the logarithm of the quotient; the last at most."""
MAX_GAINS = 4096
"""Chains, with who drafts for them, whose gains are kept."""


@dataclass(slots=True)
class Speed:
    """Tokens a second of answers that came in one way; recent ones count more."""

    tokens: float = 0.0
    seconds: float = 0.0
    answers: float = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        self.tokens = FORGETTING * self.tokens + tokens
        self.seconds = FORGETTING * self.seconds + seconds
        self.answers = FORGETTING * self.answers + 1.0

    @property
    def value(self) -> float | None:
        """None: not known yet."""
        return self.tokens / self.seconds if self.answers >= KNOWN else None


@dataclass(slots=True, kw_only=True)
class TierGain:
    """The tiers in the middle of one chain, by their names, and which of them are used now: all at
    first."""

    tiers: tuple[str, ...]
    used: frozenset[str] = field(init=False)
    _speeds: dict[frozenset[str], Speed] = field(default_factory=dict)
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

    def observe(self, used: Iterable[str], tokens: int, seconds: float) -> None:
        """An answer with these tiers brought `tokens` in `seconds`, its first ones aside."""
        if tokens < LEAST_TOKENS or seconds <= 0.0:
            return
        way = frozenset(used)
        if way != self.used:
            known = self._speed(way)
            self._surprised = known is not None and tokens / seconds > SURPRISE * known
        self._speeds.setdefault(way, Speed()).add(tokens, seconds)
        for tier in self.tiers:
            gain = self.gain(tier)
            if gain is not None and (gain < 1.0 if tier in self.used else gain > MARGIN):
                self.used ^= {tier}
                return

    def gain(self, tier: str) -> float | None:
        """The speed with the tier by that without it, beside the others in use; None: not known
        yet."""
        with_it, without = self._speed(self.used | {tier}), self._speed(self.used - {tier})
        return with_it / without if with_it and without else None

    def left_out(self) -> Iterator[tuple[str, float]]:
        """The tiers that are not in use, with their gains."""
        for tier in self.tiers:
            gain = self.gain(tier)
            if tier not in self.used and gain is not None:
                yield tier, gain

    def _speed(self, used: frozenset[str]) -> float | None:
        speed = self._speeds.get(used)
        return speed.value if speed is not None else None

    def _pause(self, other: frozenset[str]) -> float:
        ours, theirs = self._speed(self.used), self._speed(other)
        if ours is None or theirs is None or self._surprised:
            return TRY_EVERY
        return min(RAREST, TRY_EVERY * (1.0 + CLEARNESS * abs(log(ours / theirs))))


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
