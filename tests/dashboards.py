"""The shipped Grafana dashboards, taken apart: panels, their queries, and what those select."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers import CHECKOUT

FOLDER = CHECKOUT / "charts/gateway/dashboards"
_METRIC = re.compile(r"(?<![\w:])((?:tierflow_|vllm:)\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
_GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Selector:
    """One series selector of a query, such as `tierflow_requests_total{tier=~"$tier"}`."""

    text: str
    metric: str
    labels: frozenset[str]
    functions: tuple[str, ...]
    """Functions and aggregations around it, the outermost first."""


@dataclass(frozen=True)
class Query:
    dashboard: str
    panel: str
    ref: str
    expression: str
    legend: str

    @property
    def name(self) -> str:
        return f"{self.dashboard}: {self.panel} {self.ref}"

    @property
    def selectors(self) -> list[Selector]:
        plain = _GROUPING.sub(lambda by: " " * len(by.group()), self.expression)
        return [
            Selector(
                match.group(),
                match.group(1),
                frozenset(label for label, _, _ in _MATCHER.findall(match.group(2) or "")),
                tuple(_functions_around(plain, match.start())),
            )
            for match in _METRIC.finditer(plain)
        ]

    @property
    def groupings(self) -> set[str]:
        """Labels that some `by (…)` names."""
        named = (
            part.strip() for by in _GROUPING.findall(self.expression) for part in by.split(",")
        )
        return set(named)

    @property
    def legend_labels(self) -> set[str]:
        return set(re.findall(r"\{\{\s*(\w+)\s*\}\}", self.legend))


def files() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


@cache
def load(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All but the rows' headings, those inside collapsed rows too."""
    every = [each for panel in dashboard["panels"] for each in (panel, *panel.get("panels", []))]
    return [panel for panel in every if panel["type"] != "row"]


def queries() -> list[Query]:
    """Of every shipped dashboard, in the order of their panels."""
    return [
        Query(file.stem, panel["title"], target["refId"], target["expr"], target["legendFormat"])
        for file in files()
        for panel in panels(load(file))
        for target in panel["targets"]
    ]


def variables(text: str) -> set[str]:
    """The names after `$`."""
    return {braced or bare for braced, bare in _VARIABLE.findall(text)}


def filled(text: str, anything: str = ".*", window: str = "10m") -> str:
    """As Grafana sends it: `anything` for each variable that selects, a range for its own. Outside
    of Kubernetes no series has a namespace."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name == "namespace":
            return ".*"
        return window if name.startswith("__") else anything

    return _VARIABLE.sub(value, text)


def _functions_around(expression: str, place: int) -> Iterator[str]:
    open_at: list[int] = []
    for index, sign in enumerate(expression[:place]):
        if sign == "(":
            open_at.append(index)
        elif sign == ")":
            open_at.pop()
    for index in open_at:
        name = re.search(r"(\w+)\s*$", expression[:index])
        if name:
            yield name[1]
