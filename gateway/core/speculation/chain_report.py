"""What came of one answer of a chain of tiers, which telemetry gets when it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class MiddleTierReport:
    """What came of a tier in the middle. `offered` counts ids that it left above, `rollbacks` the
    times that these were wrong, `streams` how often an engine was asked. `problem`: the code of
    what ended it before the answer; "" where nothing did."""

    tier: str
    endpoint: str = ""
    model: str = ""
    offered: int = 0
    rollbacks: int = 0
    streams: int = 0
    problem: str = ""


@dataclass(slots=True, kw_only=True)
class ChainReport:
    """`chain` names it by its tiers, `used` are those in the middle that were asked. `written`
    counts the answer's tokens by who wrote them first. The first came after `first_s`, `tokens`
    more `rest_s` later."""

    chain: str
    used: Sequence[str]
    middles: Sequence[MiddleTierReport] = ()
    written: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    first_s: float | None = None
    rest_s: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether every tier in the middle that was asked helped to the end."""
        return not any(middle.problem for middle in self.middles)
