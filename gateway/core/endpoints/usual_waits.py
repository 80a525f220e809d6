"""How long an endpoint usually takes: what has been seen there lately, by the prompt's size.

The limit of a wait is a multiple of the longest that was seen lately (of the last 64, which is
about their 98th percentile). An endpoint of which too little is known has no limit of its own: the
setting holds, which no limit ever exceeds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

SEEN = 64
"""Waits that are kept for each size."""
MIN_SEEN = 8
"""From so many on they say what is usual."""
SIZES = (1_000, 4_000, 16_000, 64_000, 256_000)
"""Characters of prompts: up to the first, up to the second, and so on; the last class is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualWaitRule:
    """How a limit follows from what is usual: `factor` times the longest, at least `floor_s`
    seconds. A factor of 0 turns it off."""

    factor: float
    floor_s: float


@dataclass(slots=True)
class RecentWaits:
    """The waits of one kind that were seen last, in seconds."""

    _seen: deque[float] = field(default_factory=deque)
    _longest: float = 0.0

    def observe(self, seconds: float) -> None:
        """Take in one that ended well. What is not finite and at least 0 is left out."""
        if not 0.0 <= seconds < float("inf"):
            return
        self._seen.append(seconds)
        if seconds >= self._longest:
            self._longest = seconds
        if len(self._seen) > SEEN and self._seen.popleft() >= self._longest:
            self._longest = max(self._seen)

    def longest(self) -> float | None:
        """None while too few were seen."""
        return self._longest if len(self._seen) >= MIN_SEEN else None


def _by_size() -> tuple[RecentWaits, ...]:
    return tuple(RecentWaits() for _ in range(len(SIZES) + 1))


@dataclass(slots=True)
class UsualWaits:
    """What is usual at one endpoint: by the prompt's size the waits for a stream's first bytes and
    for answers in one piece, and the longest pause within each stream."""

    first_token: tuple[RecentWaits, ...] = field(default_factory=_by_size)
    answer: tuple[RecentWaits, ...] = field(default_factory=_by_size)
    pauses: RecentWaits = field(default_factory=RecentWaits)

    def first_token_seen(self, prompt_chars: int, seconds: float) -> None:
        self.first_token[_size(prompt_chars)].observe(seconds)

    def answer_seen(self, prompt_chars: int, seconds: float) -> None:
        self.answer[_size(prompt_chars)].observe(seconds)

    def first_token_limit(self, prompt_chars: int, rule: UsualWaitRule) -> float | None:
        """Seconds until it is unusual that nothing has come; None where too little is known."""
        return _limit(self.first_token, prompt_chars, rule)

    def answer_limit(self, prompt_chars: int, rule: UsualWaitRule) -> float | None:
        """The same for an answer in one piece."""
        return _limit(self.answer, prompt_chars, rule)

    def idle_limit(self, setting_s: float, rule: UsualWaitRule) -> float:
        """Seconds until a stream that sends nothing counts as broken off: never more than the
        setting, and the setting itself while too little is known."""
        longest = self.pauses.longest()
        if longest is None or rule.factor <= 0.0:
            return setting_s
        return min(setting_s, max(rule.floor_s, rule.factor * longest))


def _limit(waits: tuple[RecentWaits, ...], prompt_chars: int, rule: UsualWaitRule) -> float | None:
    """Longer prompts take longer: a class of sizes is never faster than a smaller one was."""
    size = _size(prompt_chars)
    longest = waits[size].longest()
    if longest is None or rule.factor <= 0.0:
        return None
    for smaller in waits[:size]:
        longest = max(longest, smaller.longest() or 0.0)
    return max(rule.floor_s, rule.factor * longest)


def _size(prompt_chars: int) -> int:
    return bisect_left(SIZES, prompt_chars)
