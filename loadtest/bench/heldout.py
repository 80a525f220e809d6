"""The family's held-out questions and accuracy, by its own command in the engine environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.settings import CHECKOUT, TIERS
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.processes import Processes

EVALUATE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Quality:
    """By tier, shares from 0 to 1: exact match, and agreement per token with the cloud size."""

    accuracy: Mapping[str, float]
    agreement: Mapping[str, float]


def questions(python: str, count: int) -> list[str]:
    """Held-out questions. Raises BenchmarkFailure."""
    command = [python, "-m", "services.model_family", "questions", "--examples", str(count)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise BenchmarkFailure(f"model_family questions: {_last_line(done.stderr)}")
    return [json.loads(line)["prompt"] for line in done.stdout.splitlines()]


def evaluate(
    processes: Processes, python: str, family: Path, examples: int, cores: Set[int]
) -> Quality:
    """Exact match over `examples` held-out questions per size. Raises BenchmarkFailure."""
    command = [
        *(python, "-m", "services.model_family", "evaluate"),
        *("--weights", str(family), "--examples", str(examples)),
    ]
    running = processes.start("evaluate", command, cores=cores)
    code = running.wait(EVALUATE_S)
    output = running.log.read_text(errors="replace")
    if code != 0:
        raise BenchmarkFailure(f"model_family evaluate: {_last_line(output)}")
    return read_quality(_last_line(output))


def read_quality(line: str) -> Quality:
    """From `{"accuracy_device": …, "agreement_device": …, …}`. Raises BenchmarkFailure."""
    try:
        figures = json.loads(line)
        return Quality(
            {tier: float(figures[f"accuracy_{tier}"]) for tier in TIERS},
            {tier: float(figures.get(f"agreement_{tier}", 1.0)) for tier in TIERS},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkFailure(f"model_family evaluate ended with {line[:200]!r}") from error


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"
