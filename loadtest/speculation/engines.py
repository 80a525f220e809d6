"""The engines of the measurement, all on one core: with drafts, without, and co-located."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from loadtest.measure.cores import Cores
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.processes import HOST, Processes, Running, free_port
from loadtest.measure.progress import Progress
from loadtest.measure.serving import ENGINE_START_S, start_vllm

KV_GIB = "0.25"
COLOCATED = "rill-cloud-colocated"
COLOCATED_TOKENS = 6
"""Draft tokens a step of the co-located baseline: between the 4 and 8 that are usual."""


@dataclass(frozen=True, slots=True)
class Engines:
    """Those with drafts by tier, those without by tier, and the co-located one where it runs."""

    drafting: Mapping[str, Running]
    mailboxes: Mapping[str, str]
    plain: Mapping[str, Running]
    colocated: Running | None
    secret: str

    @property
    def all(self) -> list[Running]:
        found = [*self.drafting.values(), *self.plain.values()]
        return found if self.colocated is None else [*found, self.colocated]


def start_engines(
    processes: Processes, python: str, family: Mapping[str, Path], cores: Cores, tell: Progress
) -> Engines:
    """All ready, on the cores beside the measured one. Raises BenchmarkFailure.

    They start on all cores, with their model's threads bound to one from the beginning.
    """
    secret, everywhere = secrets.token_hex(16), cores.others | cores.measured
    core = str(min(cores.others))
    common = ("--cores", core, "--kv-cache-gib", KV_GIB)
    mailboxes = {tier: f"{HOST}:{free_port()}" for tier in ("edge", "cloud")}

    def start(tier: str, suffix: str, *arguments: str, **environment: str) -> Running:
        return start_vllm(
            processes,
            python,
            family[tier],
            cores=everywhere,
            arguments=(*common, *arguments),
            environment=environment,
            name=family[tier].name + suffix,
        )

    plain = {tier: start(tier, "-plain") for tier in ("cloud", "edge")}
    drafting = {
        tier: start(tier, "", "--draft-mailbox", mailbox, TIERFLOW_DRAFT_SECRET=secret)
        for tier, mailbox in mailboxes.items()
    }
    speculative = {
        "method": "draft_model",
        "model": str(family["device"]),
        "num_speculative_tokens": COLOCATED_TOKENS,
    }
    colocated = start(
        "cloud",
        "-colocated",
        *("--", "--speculative-config", json.dumps(speculative)),
        **_openmp(python),
    )
    for running in (*plain.values(), *drafting.values()):
        running.wait_ready("/health", ENGINE_START_S)
        running.pin(cores.others)
        tell(f"{running.name} is ready")
    found = _if_it_runs(processes, colocated, cores.others, tell)
    return Engines(drafting, mailboxes, plain, found, secret)


def _openmp(python: str) -> dict[str, str]:
    """vLLM recommends Intel's OpenMP on a CPU; its absence must not end the baseline."""
    library = Path(python).parent.parent / "lib/libiomp5.so"
    return {"LD_PRELOAD": str(library)} if library.is_file() else {}


def _if_it_runs(
    processes: Processes, running: Running, cores: Set[int], tell: Progress
) -> Running | None:
    try:
        running.wait_ready("/health", ENGINE_START_S)
    except BenchmarkFailure as failure:
        tell(f"without the co-located baseline: {failure}")
        processes.stop(running)
        return None
    running.pin(cores)
    tell(f"{running.name} is ready")
    return running
