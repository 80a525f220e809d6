"""By how much a figure grows: the least-squares line through its samples. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A line from `begin` to `end` (seconds): its mean, and what it grows by in an hour."""

    begin: float
    end: float
    mean: float
    per_hour: float

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> Growth:
        """Of these (seconds, value). Raises ValueError when there are none."""
        if not points:
            raise ValueError("no samples were taken")
        times = [at for at, _ in points]
        middle = sum(times) / len(times)
        mean = sum(value for _, value in points) / len(points)
        spread = sum((at - middle) ** 2 for at in times)
        slope = sum((at - middle) * (value - mean) for at, value in points) / (spread or 1.0)
        return cls(begin=times[0], end=times[-1], mean=mean, per_hour=slope * HOUR_S)

    def at(self, when: float) -> float:
        """The line's value at this time."""
        middle = (self.begin + self.end) / 2
        return self.mean + self.per_hour * (when - middle) / HOUR_S
