"""The samples of a load test by metric and model, and their table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.measure.statistics import percentile

METRICS = {"TTFT": "ms", "ITL": "ms", "TPOT": "ms", "answer": "ms", "tokens/s": "tokens/s"}
"""Metric: unit. `answer` is the time of the whole answer, `tokens/s` the rate within it."""
SHARES = (0.50, 0.95, 0.99)


@dataclass(slots=True)
class Samples:
    """The measurements of a load test.

    `values` by (metric, model); `failures` counted by (model, reason); `tokens` that arrived. A
    model's name may have the tier that answered appended.
    """

    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    failures: dict[tuple[str, str], int] = field(default_factory=dict)
    tokens: int = 0

    def add(self, metric: str, model: str, value: float) -> None:
        self.values.setdefault((metric, model), []).append(value)

    def fail(self, model: str, reason: str) -> None:
        self.failures[model, reason] = self.failures.get((model, reason), 0) + 1

    @property
    def answers(self) -> int:
        return sum(len(values) for (metric, _), values in self.values.items() if metric == "answer")

    def save(self, path: Path) -> None:
        values = [[*key, measured] for key, measured in self.values.items()]
        failures = [[*key, count] for key, count in self.failures.items()]
        path.write_text(json.dumps({"values": values, "failures": failures, "tokens": self.tokens}))

    @classmethod
    def load(cls, path: Path) -> Samples:
        saved = json.loads(path.read_text())
        return cls(
            {(metric, model): values for metric, model, values in saved["values"]},
            {(model, reason): count for model, reason, count in saved["failures"]},
            saved["tokens"],
        )


def table(samples: Samples) -> str:
    """One line per metric and model, then the failures."""
    header = ["metric", "unit", "model", "count", *(f"p{share:.0%}"[:-1] for share in SHARES)]
    rows = [header]
    for metric, unit in METRICS.items():
        for (name, model), values in sorted(samples.values.items()):
            if name == metric:
                figures = (f"{percentile(values, share):.1f}" for share in SHARES)
                rows.append([metric, unit, model, str(len(values)), *figures])
    lines = _aligned(rows)
    for (model, reason), count in sorted(samples.failures.items()):
        lines.append(f"failed: {count} x {model}: {reason}")
    return "\n".join(lines)


def totals(samples: Samples, seconds: float) -> str:
    """One line: answers, failures and tokens, and their rates over the run's `seconds`."""
    failures, tokens = sum(samples.failures.values()), samples.tokens
    return (
        f"{samples.answers} answers ({samples.answers / seconds:.2f}/s), {failures} failures, "
        f"{tokens} tokens ({tokens / seconds:.1f}/s) in {seconds:.0f} s"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if index < 3 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
