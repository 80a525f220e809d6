"""The engines of the measurement, all on one core: with drafts, without, and co-located."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.measure.processes import Cores, Process, Processes
from loadtest.measure.servers import (
    DraftVerifier,
    one_core_arguments,
    start_draft_verifier,
    start_vllm,
    wait_for_engine,
)

COLOCATED = "rill-cloud-colocated"
COLOCATED_TOKENS = 6
"""Draft tokens a step of the co-located baseline: between the 4 and 8 that are usual."""
SETTLE_S = 0.03
"""After a pause an engine first answers what others asked in the meantime, such as its metrics."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one run: those with drafts by tier, those without by tier, and the co-located
    one where it starts."""

    drafting: Mapping[str, DraftVerifier]
    plain: Mapping[str, Process]
    colocated: Process | None

    @property
    def all(self) -> list[Process]:
        drafting = (verifier.engine for verifier in self.drafting.values())
        colocated = [] if self.colocated is None else [self.colocated]
        return [*drafting, *self.plain.values(), *colocated]


def start_engines(
    processes: Processes,
    python: str,
    family: Mapping[str, Path],
    *,
    cores: Cores,
    progress: Progress,
    environments: Mapping[str, Mapping[str, str]] | None = None,
    tiers: Sequence[str] = ("cloud", "edge"),
    colocated: bool = True,
) -> Engines:
    """All engines, ready, on the cores beside the measured one. Raises BenchmarkFailure.

    They start on all cores, with their model's threads bound to one from the beginning.
    `environments` are further variables of the engines of each tier, `colocated` says whether the
    co-located one is among them.
    """
    secret = secrets.token_hex(16)
    environments = environments or {}
    plain = {
        tier: start_vllm(
            processes,
            python,
            family[tier],
            cores=cores.all,
            arguments=one_core_arguments(cores),
            environment=environments.get(tier),
            name=f"{family[tier].name}-plain",
        )
        for tier in tiers
    }
    drafting = {
        tier: start_draft_verifier(
            processes,
            python,
            family[tier],
            tier=tier,
            secret=secret,
            cores=cores,
            environment=environments.get(tier),
        )
        for tier in reversed(tiers)
    }
    third = (
        _start_colocated(processes, python, family, cores, environments.get("cloud", {}))
        if colocated
        else None
    )
    for engine in (*plain.values(), *(verifier.engine for verifier in drafting.values())):
        wait_for_engine(engine, cores.others, progress)
    if third is None:
        return Engines(drafting, plain, None)
    try:
        wait_for_engine(third, cores.others, progress)
    except BenchmarkFailure as failure:
        progress(f"without the co-located baseline: {failure}")
        processes.stop(third)
        return Engines(drafting, plain, None)
    return Engines(drafting, plain, third)


def _start_colocated(
    processes: Processes,
    python: str,
    family: Mapping[str, Path],
    cores: Cores,
    environment: Mapping[str, str],
) -> Process:
    """vLLM's own speculation: the device's model drafts inside the cloud's engine."""
    speculative = {
        "method": "draft_model",
        "model": str(family["device"]),
        "num_speculative_tokens": COLOCATED_TOKENS,
    }
    further = ("--", "--speculative-config", json.dumps(speculative))
    return start_vllm(
        processes,
        python,
        family["cloud"],
        cores=cores.all,
        arguments=(*one_core_arguments(cores), *further),
        environment={**environment, **_openmp(python)},
        name=COLOCATED,
    )


def _openmp(python: str) -> dict[str, str]:
    """vLLM recommends Intel's OpenMP on a CPU; its absence must not end the baseline."""
    library = Path(python).parent.parent / "lib/libiomp5.so"
    return {"LD_PRELOAD": str(library)} if library.is_file() else {}


class ExclusiveEngine:
    """The engines that answer together run, most often one alone, while the others are paused.

    vLLM's processes look for work without pause for a second after each request. Five engines that
    are asked in turn would slow each other down to a third, which does not happen to an engine on
    a core of its own. All engines run again when the block ends.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines.all
        self._running: Sequence[Process] | None = None

    async def switch_to(self, *engines: Process) -> None:
        if engines == self._running:
            return
        for other in self._engines:
            if other not in engines:
                other.pause()
        for engine in engines:
            engine.resume()
        self._running = engines
        await asyncio.sleep(SETTLE_S)

    async def __aenter__(self) -> ExclusiveEngine:
        return self

    async def __aexit__(self, *error: object) -> None:
        for engine in self._engines:
            engine.resume()
        self._running = None
