"""The benchmark's settings, from the environment; what is missing is said before any work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtest.measure.failure import BenchmarkFailure

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SHIPPED_FAMILY = CHECKOUT / "services/model_family/weights"
TIERS = ("device", "edge", "cloud")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often. Seconds, except for `rounds` (requests to each side), `questions`
    per size and repetition, and `examples` (held-out questions per size)."""

    repetitions: int
    rounds: int
    window_s: float
    paced: tuple[int, ...]
    engine_rounds: int
    engine_window_s: float
    questions: int
    examples: int


FULL = Plan(5, 1000, 1.5, (50, 200), 40, 5.0, 20, 600)
QUICK = Plan(3, 500, 1.0, (50,), 30, 3.0, 12, 60)


@dataclass(frozen=True, slots=True)
class Settings:
    """`family` has the folder of each tier's model; `engine_python` runs vLLM."""

    plan: Plan
    quick: bool
    engine_python: str
    family: Mapping[str, Path]
    results: Path


def read_settings(environ: Mapping[str, str] = os.environ, command: str = "make bench") -> Settings:
    """`command` is what the messages tell to run.

    Raises BenchmarkFailure with exit code 2, naming the variable or the folder.
    """
    quick = environ.get("QUICK") or "0"
    if quick not in ("0", "1"):
        raise BenchmarkFailure(f"QUICK={quick}: must be 0 or 1", 2)
    python = environ.get("TIERFLOW_ENGINE_PYTHON", "")
    if not python:
        raise BenchmarkFailure(
            f"TIERFLOW_ENGINE_PYTHON is not set: run `{command}`, which makes the environment "
            "with vLLM, or name the Python of one",
            2,
        )
    if not os.access(python, os.X_OK):
        raise BenchmarkFailure(f"TIERFLOW_ENGINE_PYTHON={python}: there is no such program", 2)
    folder = Path(
        environ.get("TIERFLOW_BENCH_FAMILY") or CHECKOUT / "services/model_family/weights"
    )
    results = Path(environ.get("TIERFLOW_BENCH_RESULTS") or CHECKOUT / "bench-results")
    return Settings(
        plan=QUICK if quick == "1" else FULL,
        quick=quick == "1",
        engine_python=python,
        family=_family(folder.expanduser().resolve()),
        results=results.expanduser().resolve(),
    )


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
