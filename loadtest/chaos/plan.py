"""What is broken in which order, how long, and under how many callers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.chaos import faults
from loadtest.chaos.faults import Fault
from loadtest.chaos.schedule import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosPlan:
    """The plan of a run.

    `replicas` counts those of the gateway, `edge` and `cloud` the engines; an engine gives a
    request alone `tokens_per_s`: so slow that most faults meet streams in their middle. `callers`
    ask at a time, but `crowd` where one engine of three is bad. A fault is in force for `fault_s`
    seconds and `rest_s` follow; the calm run before takes `calm_s`, each bad engine `crowd_s`.
    Answers have `tokens` tokens, from the first to the second.
    """

    replicas: int = 2
    edge: int = 3
    cloud: int = 2
    tokens_per_s: int = 12
    callers: int
    crowd: int
    calm_s: float
    fault_s: float
    rest_s: float
    crowd_s: float
    questions: int
    tokens: tuple[int, int]
    phases: Callable[[ChaosPlan], list[Phase]]


def simulated_phases(plan: ChaosPlan) -> list[Phase]:
    """Every fault alone, then several that overlap, then one bad engine of three in a crowd."""
    alone = [
        faults.ENGINE_KILLED,
        faults.ENGINE_PAUSED,
        faults.REFUSES,
        faults.OVERLOADED,
        faults.SILENT,
        faults.HANGS,
        faults.HALF_EVENT,
        faults.EMPTY,
        faults.DIES_AT_FIRST,
        faults.DIES,
        faults.REDIS_KILLED,
        faults.REDIS_PAUSED,
        faults.REDIS_FLUSHED,
        faults.REDIS_READ_ONLY,
        faults.API_SERVER_GONE,
        faults.LOG_DISK_FULL,
        faults.GATEWAY_STALLED,
        faults.GATEWAY_KILLED,
        faults.GATEWAYS_ROLLED_OUT,
        faults.ENGINES_ROLLED_OUT,
        faults.LINK_CUT(plan.fault_s / 4),
        faults.LINK_CRAWLS,
    ]
    overlapping = [
        [faults.REDIS_PAUSED, faults.ENGINE_KILLED, faults.LINK_CUT(1.0)],
        [faults.API_SERVER_GONE, faults.LOG_DISK_FULL, faults.ENGINE_PAUSED, faults.HALF_EVENT],
    ]
    phases = [_calm(plan)] + [_phase(plan, fault) for fault in alone]
    phases += [_phase(plan, *together) for together in overlapping]
    return phases + _one_of_three(plan)


def _one_of_three(plan: ChaosPlan) -> list[Phase]:
    calm = Phase(
        faults=(),
        callers=plan.crowd,
        seconds=2 * plan.crowd_s,
        calm_s=0.0,
        warm_s=plan.crowd_s / 2,
    )
    bad = (faults.REFUSES, faults.HANGS, faults.HALF_EVENT)
    return [calm] + [
        Phase(faults=[fault], callers=plan.crowd, seconds=plan.crowd_s, calm_s=plan.rest_s)
        for fault in bad
    ]


def vllm_phases(plan: ChaosPlan) -> list[Phase]:
    """What needs no fault control. An engine takes a minute to load, so that the one that is killed
    stays away."""
    alone = [
        faults.ENGINE_PAUSED,
        faults.REDIS_KILLED,
        faults.API_SERVER_GONE,
        faults.LINK_CUT(1.0),
        faults.GATEWAYS_ROLLED_OUT,
        faults.ENGINE_DEAD,
    ]
    return [_calm(plan)] + [_phase(plan, fault) for fault in alone]


def _calm(plan: ChaosPlan) -> Phase:
    return Phase(faults=(), callers=plan.callers, seconds=plan.calm_s, calm_s=0.0, warm_s=2.0)


def _phase(plan: ChaosPlan, *together: Fault) -> Phase:
    return Phase(faults=together, callers=plan.callers, seconds=plan.fault_s, calm_s=plan.rest_s)


FULL = ChaosPlan(
    callers=200,
    crowd=1000,
    calm_s=40.0,
    fault_s=12.0,
    rest_s=6.0,
    crowd_s=30.0,
    questions=600,
    tokens=(16, 48),
    phases=simulated_phases,
)
QUICK = ChaosPlan(
    callers=100,
    crowd=500,
    calm_s=10.0,
    fault_s=3.5,
    rest_s=1.5,
    crowd_s=8.0,
    questions=300,
    tokens=(16, 40),
    phases=simulated_phases,
)
VLLM_FULL = ChaosPlan(
    callers=8,
    crowd=0,
    calm_s=30.0,
    fault_s=12.0,
    rest_s=8.0,
    crowd_s=0.0,
    questions=60,
    tokens=(48, 120),
    phases=vllm_phases,
)
VLLM_QUICK = ChaosPlan(
    callers=6,
    crowd=0,
    calm_s=12.0,
    fault_s=6.0,
    rest_s=4.0,
    crowd_s=0.0,
    questions=40,
    tokens=(48, 96),
    phases=vllm_phases,
)
