"""The settings of every benchmark, read from the environment here and nowhere else.

What is missing or wrong is reported before any work begins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from loadtest.measure.command import BenchmarkFailure

CHECKOUT = Path(__file__).resolve().parent.parent.parent
TIERS = ("device", "edge", "cloud")
P = TypeVar("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Generic[P]):
    """The settings of one benchmark.

    `plan` says what is measured, how often and for how long. `engine_python` runs vLLM, `family`
    has the folder of each tier's model (both are empty where no real engine is needed), and
    `results` is the folder for tables, plots and logs.
    """

    plan: P
    engine_python: str
    family: Mapping[str, Path]
    results: Path

    @property
    def logs(self) -> Path:
        """The folder for the processes' logs and configurations."""
        return self.results / "logs"


def read_settings(
    *,
    full: P,
    quick: P,
    command: str,
    engines: bool = True,
    environ: Mapping[str, str] = os.environ,
) -> Settings[P]:
    """Read the variables; the plan is `quick` where QUICK is 1. Messages name `command`.

    `engines` says whether the benchmark runs real ones. Raises BenchmarkFailure with exit code 2,
    naming the variable or the folder.
    """
    chosen = environ.get("QUICK") or "0"
    if chosen not in ("0", "1"):
        raise BenchmarkFailure(f"QUICK={chosen}: must be 0 or 1", 2)
    weights = environ.get("TIERFLOW_BENCH_FAMILY") or CHECKOUT / "services/model_family/weights"
    results = environ.get("TIERFLOW_BENCH_RESULTS") or CHECKOUT / "bench-results"
    return Settings(
        plan=quick if chosen == "1" else full,
        engine_python=_engine_python(environ, command) if engines else "",
        family=_family(Path(weights).expanduser().resolve()) if engines else {},
        results=Path(results).expanduser().resolve(),
    )


def _engine_python(environ: Mapping[str, str], command: str) -> str:
    python = environ.get("TIERFLOW_ENGINE_PYTHON", "")
    if not python:
        raise BenchmarkFailure(
            f"TIERFLOW_ENGINE_PYTHON is not set: run `{command}`, which makes the environment "
            "with vLLM, or set it to the Python of such an environment",
            2,
        )
    if not os.access(python, os.X_OK):
        raise BenchmarkFailure(f"TIERFLOW_ENGINE_PYTHON={python}: there is no such program", 2)
    return python


def _family(folder: Path) -> dict[str, Path]:
    members = {tier: folder / f"rill-{tier}" for tier in TIERS}
    for member in members.values():
        if not (member / "config.json").is_file():
            raise BenchmarkFailure(
                f"the model family is missing: there is no {member}/config.json; "
                "run `make family`, or set TIERFLOW_BENCH_FAMILY to a folder that has the members",
                2,
            )
    return members
