"""Numbers and tables in the card's Markdown."""

from __future__ import annotations

from collections.abc import Iterable


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(header), *[list(row) for row in rows]]
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in ruled)
