"""Means in which the past counts less and less: weights halve after every half-life."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.state.decision import Decision, nothing
from gateway.core.state.operations import Mean, Observe

FORGOTTEN_AFTER = 32.0
"""Half-lives. A weight of one is less than a billionth by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A mean as it was at the time `at`."""

    value: float
    weight: float
    at: float
    half_life_s: float

    def mean(self, now: float) -> Mean:
        elapsed = max(now - self.at, 0.0)
        return Mean(self.value, self.weight * 0.5 ** (elapsed / self.half_life_s))


def observe(memory: Memory | None, seen: Observe, now: float) -> Decision[Memory]:
    half_life_s = seen.half_life_s
    before = Mean()
    if memory is not None:
        # The past fades as it is told now, whatever it was told before.
        before = Memory(
            value=memory.value, weight=memory.weight, at=memory.at, half_life_s=half_life_s
        ).mean(now)
    weight = before.weight + seen.weight
    if weight <= 0.0:
        return nothing(Mean())
    value = (before.value * before.weight + seen.value * seen.weight) / weight
    until = now + FORGOTTEN_AFTER * half_life_s
    return Decision(
        Memory(value=value, weight=weight, at=now, half_life_s=half_life_s),
        until,
        Mean(value, weight),
    )
