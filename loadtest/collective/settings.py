"""The benchmark's settings, from the environment; what is missing is said before any work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench import settings as bench
from loadtest.collective.plan import FULL, QUICK, SPECIALISTS, Plan
from loadtest.measure.failure import BenchmarkFailure

COMMAND = "make bench-collective"
GENERALIST = "generalist"


@dataclass(frozen=True, slots=True)
class Settings:
    """`common` has the engine's Python, the family and the results folder; `devices` the model
    folder of each device, the generalist's first."""

    plan: Plan
    common: bench.Settings
    devices: Mapping[str, Path]


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises BenchmarkFailure with exit code 2, naming the variable or the folder."""
    common = bench.read_settings(environ, COMMAND)
    small = common.family["device"]
    devices = {GENERALIST: small}
    for name in SPECIALISTS:
        folder = small.parent / f"{small.name}-{name}"
        if not (folder / "config.json").is_file():
            raise BenchmarkFailure(
                f"a specialist is missing: there is no {folder}/config.json; run "
                "`python -m services.model_family specialise --all` in the engine environment",
                2,
            )
        devices[name] = folder
    return Settings(QUICK if common.quick else FULL, common, devices)
