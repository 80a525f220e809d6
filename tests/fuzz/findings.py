"""What fuzzing found, and how it is told."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

SHOWN_BYTES = 400
KEPT = 20
"""Findings of each kind that are kept whole; all are counted."""


@dataclass(frozen=True)
class Finding:
    """A fault: where, what happened, and the input that showed it."""

    target: str
    problem: str
    input: str

    def __str__(self) -> str:
        return f"{self.target}: {self.problem}\n    input: {self.input}"


@dataclass
class Findings:
    """The counts of one run, and its faults by their place and problem, each once."""

    inputs: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    """Answers by `METHOD path status code`."""
    crashes: dict[str, Finding] = field(default_factory=dict)
    leaks: dict[str, Finding] = field(default_factory=dict)
    unmeant_5xx: dict[str, Finding] = field(default_factory=dict)
    violations: dict[str, Finding] = field(default_factory=dict)
    """Answers that the OpenAPI description does not describe, or checks that failed."""

    def crash(self, target: str, problem: str, data: bytes) -> None:
        _note(self.crashes, target, problem, _shown(data))

    def leak(self, target: str, problem: str) -> None:
        _note(self.leaks, target, problem, "")

    def server_error(self, target: str, problem: str, shown: str) -> None:
        _note(self.unmeant_5xx, target, problem, shown)

    def violation(self, target: str, problem: str, shown: str) -> None:
        _note(self.violations, target, problem, shown)

    @property
    def faults(self) -> list[Finding]:
        kinds = (self.crashes, self.leaks, self.unmeant_5xx, self.violations)
        return [finding for kind in kinds for finding in kind.values()]

    def summary(self) -> dict[str, Any]:
        return {
            "inputs": sum(self.inputs.values()),
            "crashes": len(self.crashes),
            "leaks": len(self.leaks),
            "unmeant_5xx": len(self.unmeant_5xx),
            "violations": len(self.violations),
            "by_target": dict(sorted(self.inputs.items())),
        }

    def text(self) -> str:
        """For people; its last line is the summary as JSON."""
        lines = [str(finding) for finding in self.faults]
        lines += [f"{count:8d}  {answer}" for answer, count in sorted(self.statuses.items())]
        return "\n".join([*lines, json.dumps(self.summary())])


def _note(kind: dict[str, Finding], target: str, problem: str, shown: str) -> None:
    key = f"{target}: {problem}"
    if key not in kind and len(kind) < KEPT:
        kind[key] = Finding(target, problem, shown)


def _shown(data: bytes) -> str:
    more = f"… ({len(data)} bytes)" if len(data) > SHOWN_BYTES else ""
    return repr(data[:SHOWN_BYTES]) + more
