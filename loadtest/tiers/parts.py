"""The parts of `make bench-tiers`: its own, and other benchmarks whose last line it reads."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.measure.processes import STOP_S
from loadtest.measure.settings import CHECKOUT

Figures = Mapping[str, float | None]
MISMATCHES = "mismatches"
OWN = "tiers"
OWN_KEYS = ("two_tier_speedup", "three_tier_speedup", "three_tier_speedup_a80_rtt_50")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A benchmark that runs by itself: its module, and what the final line takes of its own."""

    module: str
    keys: Sequence[str]


PARTS: Mapping[str, Part] = {
    "prediction": Part(
        module="loadtest.prediction", keys=("prediction_90", "prediction_50", "prediction_0")
    ),
    "capacity": Part(module="loadtest.capacity", keys=("capacity_best", "capacity_worst")),
    "ideal": Part(module="loadtest.speculation.ideal", keys=("ideal_share_worst", "step25_rtt50")),
}
"""By name, in the order in which they run after the own part."""
QUICK_PARTS = ("prediction",)
"""Those that with the short plan fit into its minutes; the others have short plans of their own."""
KEYS = (*OWN_KEYS, *(key for part in PARTS.values() for key in part.keys), MISMATCHES)
"""The keys of the final line, in this order."""


def final_figures(measured: Sequence[Figures]) -> dict[str, float | None]:
    """Exactly KEYS, of all parts that ran: null where none has measured it. Mismatches are added
    up, over the parts that count any."""
    together: dict[str, float | None] = {}
    for figures in measured:
        together |= figures
    counted = [count for figures in measured if (count := figures.get(MISMATCHES)) is not None]
    together[MISMATCHES] = sum(counted) if counted else None
    return {key: together.get(key) for key in KEYS}


def run_part(name: str, progress: Progress) -> Figures:
    """Run another benchmark, whose output goes where ours does; gives the figures of its last line.

    Its settings are ours, from the environment. Raises BenchmarkFailure.
    """
    part = PARTS[name]
    if not _exists(part.module):
        raise BenchmarkFailure(f"{name}: there is no {part.module} in this checkout", 2)
    progress(f"{name}: {part.module}")
    command = [sys.executable, "-m", part.module]
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        # A group of its own: Ctrl-C reaches us alone, and we ask it to end once.
        start_new_session=True,
    ) as process:
        try:
            last = _passed_on(process)
            code = process.wait()
        except BaseException:
            # It ends what it has started before it ends itself.
            process.terminate()
            process.wait(3 * STOP_S)
            raise
    if code != 0:
        raise BenchmarkFailure(f"{name} ended with code {code}", 2 if code == 2 else 1)
    return read_figures(name, last)


def _passed_on(process: subprocess.Popen[str]) -> str:
    """The last line of its output, which is printed as it comes but for that."""
    last = ""
    assert process.stdout is not None
    for line in process.stdout:
        print(last, end="", flush=True)
        last = line
    return last


def read_figures(name: str, line: str) -> Figures:
    """The part's own keys and its mismatches. Raises BenchmarkFailure."""
    try:
        figures: Any = json.loads(line)
        found = {key: figures[key] for key in PARTS[name].keys}
        return {**found, MISMATCHES: figures.get(MISMATCHES)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        wanted = ", ".join(PARTS[name].keys)
        raise BenchmarkFailure(f"{name} ended with {line[:200]!r}, without {wanted}") from error


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(f"{module}.__main__") is not None
    except ModuleNotFoundError:
        return False
