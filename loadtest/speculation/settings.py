"""The benchmark's settings, from the environment; what is missing is said before any work."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass

from loadtest.bench import settings as bench
from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.plan import FULL, QUICK, Plan

COMMAND = "make bench-speculation"


@dataclass(frozen=True, slots=True)
class Settings:
    """`common` has the engine's Python, the family and the results folder."""

    plan: Plan
    common: bench.Settings


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises BenchmarkFailure with exit code 2, naming the variable or the folder."""
    common = bench.read_settings(environ, COMMAND)
    return Settings(QUICK if common.quick else FULL, common)


def check_cores(available: Set[int]) -> None:
    """Raises BenchmarkFailure when device and engine can't have a core each."""
    if len(available) < 2:
        raise BenchmarkFailure(
            f"{len(available)} core is available, and 2 are needed: drafting and verifying at "
            "once on the same core would measure neither",
            2,
        )
