"""The causes that a log names for the end of a part."""

from __future__ import annotations

import re
from pathlib import Path

LAST_LINES = 15
MOST_CAUSES = 6

CAUSE = re.compile(r"(?:^|[\s\]])(?:[\w.]*(?:Error|Exception)|error): \S|^\s*Value error, ")
PREFIX = re.compile(r"^\(\w+ pid=\d+\) (?:\w+ [\d-]+ [\d:]+ \[[^\]]*\]\s*)?")
"""vLLM's `(EngineCore pid=7) ERROR 01-31 10:00:00 [core.py:1]`."""


def causes(log: Path) -> list[str]:
    """The lines that name errors, first cause first; without any, the last lines of the log.

    The end alone often says little: vLLM names the cause before long traces of what it broke.
    """
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    named = [PREFIX.sub("", line).strip() for line in lines if _names_an_error(line)]
    return list(dict.fromkeys(named))[:MOST_CAUSES] or lines[-LAST_LINES:]


def _names_an_error(line: str) -> bool:
    return bool(CAUSE.search(line)) and " WARNING " not in line
