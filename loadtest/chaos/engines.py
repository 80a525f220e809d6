"""The engines of a run: simulated ones, whose answers are the same everywhere, or real vLLM."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import partial
from pathlib import Path

from loadtest.chaos.plan import ChaosPlan
from loadtest.chaos.testbed import Engine, Part
from loadtest.measure.processes import Process, Processes, free_port
from loadtest.measure.servers import ENGINE_START_S, start_simulator, start_vllm

EDGE, CLOUD = "rill-edge", "rill-cloud"
MACHINE = (
    *("--batch-slowdown", "0.01", "--max-num-seqs", "1024"),
    *("--prefill-tokens-per-s", "100000", "--kv-cache-tokens", "4000000"),
    *("--shutdown-timeout", "45"),
)
"""Engines that hold the whole crowd, whose prompts cost next to nothing, and that end what they run
when they are asked to end, as the charts have them do."""


def simulated_engines(processes: Processes, plan: ChaosPlan, cores: Set[int]) -> list[Engine]:
    """Those of both tiers. All give the edge model's answers, so that the right answer is known
    wherever a request goes on."""

    def start(model: str, port: int) -> Process:
        pace = ("--decode-tokens-per-s", str(plan.tokens_per_s))
        arguments = (*MACHINE, *pace, "--weights", EDGE, "--allow-fault-control")
        return start_simulator(processes, model, cores=cores, arguments=arguments, port=port)

    tiers = [("edge", EDGE)] * plan.edge + [("cloud", CLOUD)] * plan.cloud
    return [_engine(tier, model, partial(start, model)) for tier, model in tiers]


def start_reference(processes: Processes, cores: Set[int]) -> Process:
    """A simulated engine that nothing disturbs, for the right answers."""
    return start_simulator(processes, EDGE, cores=cores, arguments=("--unpaced",))


def vllm_engines(
    processes: Processes, python: str, model: Path, cores: Set[int], count: int = 2
) -> list[Engine]:
    """So many real engines of the edge's model."""

    def start(port: int) -> Process:
        engine = start_vllm(processes, python, model, cores=cores, port=port)
        engine.wait_ready("/health", ENGINE_START_S)
        return engine

    return [_engine("edge", model.name, start) for _ in range(count)]


def _engine(tier: str, model: str, start: Callable[[int], Process]) -> Engine:
    port = free_port()
    part = Part(name=f"{model}-{port}", port=port, start=lambda count: start(port))
    return Engine(tier=tier, model=model, part=part)
