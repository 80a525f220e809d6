"""A small run of `make chaos`: an engine is killed, Redis is flushed, and no answer is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.chaos import faults
from loadtest.chaos.benchmark import SimulatedChaos
from loadtest.chaos.plan import ChaosPlan
from loadtest.chaos.schedule import Phase
from loadtest.measure.closed_loop import run
from loadtest.measure.command import Progress
from loadtest.measure.processes import Processes
from loadtest.measure.settings import Settings
from tests.redis_server import needs_redis

pytestmark = [pytest.mark.integration, pytest.mark.redis, needs_redis]


def phases(plan: ChaosPlan) -> list[Phase]:
    together = [faults.ENGINE_KILLED, faults.REDIS_FLUSHED]
    return [
        Phase(
            faults=together,
            callers=plan.callers,
            seconds=1.0,
            calm_s=0.0,
            stagger_s=0.2,
            warm_s=1.0,
        )
    ]


SMALL = ChaosPlan(
    replicas=1,
    edge=2,
    cloud=1,
    tokens_per_s=60,
    callers=16,
    crowd=0,
    calm_s=1.0,
    fault_s=1.0,
    rest_s=0.0,
    crowd_s=0.0,
    questions=60,
    tokens=(16, 40),
    phases=phases,
)


def test_no_answer_is_lost(tmp_path: Path) -> None:
    settings = Settings(plan=SMALL, engine_python="", family={}, results=tmp_path)
    with Processes(settings.logs) as processes:
        chaos = SimulatedChaos(settings, processes, Progress("chaos"))
        figures = run(chaos.observe()).figures()
    assert (figures["lost"], figures["duplicated"], figures["wrong"]) == (0, 0, 0)
    assert (figures["streams"] or 0) > 20
