"""What is measured: sessions at a time, acceptances, lengths of a step, devices; and how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LIMIT = 64
"""Sessions that an engine runs at a time: vLLM's max_num_seqs here."""
BUSY_SHARE = 0.3
"""Of the limit: from so many sessions on the goal holds."""
GOAL, FLOOR = 3.0, 0.98
"""Output tokens per second over those without devices: under load, and anywhere."""
PLAIN, GOODPUT, ALL = "without devices", "goodput", "all"
"""How an engine works: without drafts, with those that pay, with all that come."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How a load is served: `choice` of the engine, and the devices' acceptance (0: no devices)."""

    choice: str
    acceptance: float = 0.0

    @property
    def name(self) -> str:
        if self.choice == PLAIN:
            return PLAIN
        return f"{self.choice}, acceptance {self.acceptance:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePace:
    """An emulated device: seconds that a draft token takes it, and its link's round trip."""

    draft_s: float = 0.0015
    round_trip_s: float = 0.02
    window: int = 32
    """Tokens that it drafts ahead of what it knows to be verified."""
    run: int = 4
    """Tokens of one message, beyond the first that the engine lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPlan:
    """The plan of the benchmark. `steps_ms`: steps that take at least so long (0: as they are).
    `all_at`: the acceptances at which an engine that verifies all drafts is measured as well.

    Each load is measured `repetitions` times for `seconds`, after `warm_up_s` seconds of it.
    """

    sessions: Sequence[int]
    acceptances: Sequence[float]
    all_at: Sequence[float] = ()
    steps_ms: Sequence[float]
    repetitions: int
    seconds: float
    warm_up_s: float
    questions: int
    max_tokens: int = 96
    pace: DevicePace = DevicePace()

    @property
    def variants(self) -> list[Variant]:
        ours = [Variant(GOODPUT, acceptance) for acceptance in self.acceptances]
        return [Variant(PLAIN), *ours, *(Variant(ALL, acceptance) for acceptance in self.all_at)]

    @property
    def choices(self) -> list[str]:
        """Those for which an engine is needed, each once."""
        return list(dict.fromkeys(variant.choice for variant in self.variants))


FULL = CapacityPlan(
    sessions=(1, 8, 20, 64),
    acceptances=(0.95, 0.8, 0.3),
    all_at=(0.8,),
    steps_ms=(0.0, 25.0),
    repetitions=2,
    seconds=3.0,
    warm_up_s=1.0,
    questions=24,
)
QUICK = CapacityPlan(
    sessions=(1, 20, 64),
    acceptances=(0.95, 0.3),
    steps_ms=(0.0,),
    repetitions=1,
    seconds=2.0,
    warm_up_s=1.0,
    questions=8,
)
