"""When faults happen: phases one after the other, each with faults that overlap, then a calm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from loadtest.callers.crowd import Crowd
from loadtest.chaos.faults import Fault, nothing
from loadtest.chaos.testbed import Testbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Faults that begin together, `stagger_s` apart, and are in force for `seconds`.

    `callers` are at work from `warm_s` before it, and `calm_s` follow. A phase without faults is
    the calm time that others are compared with.
    """

    faults: Sequence[Fault]
    callers: int
    seconds: float
    calm_s: float
    stagger_s: float = 0.5
    warm_s: float = 0.0


CALM = "none (calm)"


@dataclass(frozen=True, slots=True)
class Span:
    """A fault that was in force, or a calm time: monotonic seconds from `begin` to `end`."""

    name: str
    begin: float
    end: float

    def overlaps(self, begin: float, end: float) -> bool:
        return self.begin <= end and begin <= self.end


async def run_phases(
    phases: Sequence[Phase], testbed: Testbed, crowd: Crowd, progress: Callable[[str], None]
) -> list[Span]:
    """Run them all; gives the faults and calm times as they happened. Raises BenchmarkFailure."""
    spans: list[Span] = []
    for number, phase in enumerate(phases, start=1):
        crowd.resize(phase.callers)
        await asyncio.sleep(phase.warm_s)
        names = ", ".join(fault.name for fault in phase.faults) or "calm"
        progress(f"{number} of {len(phases)}: {names}; {phase.callers} streams at a time")
        faults = phase.faults or [Fault(CALM, nothing)]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_in_force(fault, place * phase.stagger_s, phase.seconds, testbed))
                for place, fault in enumerate(faults)
            ]
        spans += [task.result() for task in tasks]
        await asyncio.sleep(phase.calm_s)
    return spans


async def _in_force(fault: Fault, delay_s: float, seconds: float, testbed: Testbed) -> Span:
    await asyncio.sleep(delay_s)
    begin = monotonic()
    await fault.begin(testbed)
    await asyncio.sleep(max(0.0, begin + seconds - monotonic()))
    await fault.end(testbed)
    return Span(fault.name, begin, monotonic())
