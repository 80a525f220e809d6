"""docs/observability.md lists every line that the gateway logs, at the level that it has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/observability.md").read_text()
ROW = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \| (\w+) \|", re.M)
LEVELS = ("debug", "info", "warning", "error")
THROUGH_A_NAME = {("session", "info"), ("drain_ended", "info"), ("log_lines_dropped", "warning")}
"""Written by a name for the one method or another of the log, or by the log itself."""


def listed() -> set[tuple[str, str]]:
    """Events and their levels, from the rows `| `event`, `event` | level | …`."""
    section = PAGE.split("## The gateway's log", 1)[1].split("\n## ", 1)[0]
    return {
        (event, level)
        for events, level in ROW.findall(section)
        for event in re.findall(r"`(\w+)`", events)
    }


def logged() -> Iterator[tuple[str, str]]:
    for file in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
            ):
                for event in _texts(node.args[0]):
                    yield event, node.func.attr


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def test_every_line_of_the_log_is_listed_and_the_other_way_round() -> None:
    assert listed() == set(logged()) | THROUGH_A_NAME
