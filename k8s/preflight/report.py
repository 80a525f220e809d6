"""The findings, and how they are printed."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

FOUND_COLUMNS = 44
TODO_COLUMNS = 56


class Result(StrEnum):
    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    check: str
    result: Result
    found: str
    todo: str = ""
    """What to do; empty where nothing is to be done."""


def exit_code(findings: Sequence[Finding]) -> int:
    return int(any(finding.result is Result.MISSING for finding in findings))


def as_json(findings: Sequence[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in findings], indent=2)


def as_table(findings: Sequence[Finding]) -> str:
    """Columns in text; a cell that is too long goes on in the next line."""
    rows = [("CHECK", "RESULT", "FOUND", "WHAT TO DO")]
    rows += [(f.check, f.result.value, f.found, f.todo) for f in findings]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    widths = [*wide, FOUND_COLUMNS, TODO_COLUMNS]
    lines = []
    for row in rows:
        cells = [textwrap.wrap(text, width) for text, width in zip(row, widths, strict=True)]
        for number in range(max(len(cell) for cell in cells)):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            padded = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)
