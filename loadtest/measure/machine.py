"""What a benchmark ran on, for the head of its results."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import psutil


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
    found = subprocess.run([python, "-c", script], capture_output=True, text=True, timeout=60)
    return found.stdout.strip()


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
    found = subprocess.run(query, capture_output=True, text=True, timeout=30)
    return ", ".join(found.stdout.split("\n")).strip(", ") if found.returncode == 0 else ""
