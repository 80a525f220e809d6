"""Faults of a phase begin in order, are in force together, and all end before the next phase."""

from __future__ import annotations

from typing import cast

import pytest

from loadtest.callers.crowd import Crowd
from loadtest.chaos.faults import Fault
from loadtest.chaos.plan import FULL, QUICK, VLLM_FULL, VLLM_QUICK, ChaosPlan
from loadtest.chaos.schedule import Phase, Span, run_phases
from loadtest.chaos.testbed import Testbed

pytestmark = pytest.mark.anyio


class NoCrowd:
    """Keeps the sizes that a crowd is told."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def resize(self, size: int) -> None:
        self.sizes.append(size)


def recorded(name: str, steps: list[str]) -> Fault:
    async def begin(testbed: Testbed) -> None:
        steps.append(f"{name} begins")

    async def end(testbed: Testbed) -> None:
        steps.append(f"{name} ends")

    return Fault(name, begin, end)


async def test_phases_follow_one_another_and_their_faults_overlap() -> None:
    steps: list[str] = []
    a, b, c = (recorded(name, steps) for name in "abc")
    phases = [
        Phase(faults=[a, b], callers=5, seconds=0.1, calm_s=0.0, stagger_s=0.03),
        Phase(faults=[c], callers=9, seconds=0.0, calm_s=0.0),
    ]
    crowd, testbed = NoCrowd(), cast(Testbed, None)
    spans = await run_phases(phases, testbed, cast(Crowd, crowd), lambda step: None)
    assert steps == ["a begins", "b begins", "a ends", "b ends", "c begins", "c ends"]
    assert [span.name for span in spans] == ["a", "b", "c"]
    assert spans[0].overlaps(spans[1].begin, spans[1].end)
    assert not spans[1].overlaps(spans[2].begin, spans[2].end)
    assert crowd.sizes == [5, 9]


def test_spans_overlap_where_they_share_a_moment() -> None:
    span = Span("x", 10.0, 20.0)
    assert span.overlaps(20.0, 30.0) and span.overlaps(12.0, 13.0)
    assert not span.overlaps(20.1, 30.0)


@pytest.mark.parametrize("plan", [FULL, QUICK, VLLM_FULL, VLLM_QUICK])
def test_every_plan_leaves_time_for_its_faults(plan: ChaosPlan) -> None:
    phases = plan.phases(plan)
    assert all(phase.callers > 0 for phase in phases)
    assert phases[0].faults == () and all(phase.seconds > 0 for phase in phases)
    assert max(phase.callers for phase in phases) == max(plan.callers, plan.crowd)


def test_a_quick_run_takes_less_than_five_minutes() -> None:
    phases = QUICK.phases(QUICK)
    seconds = sum(phase.warm_s + phase.seconds + phase.calm_s for phase in phases)
    assert seconds < 240
