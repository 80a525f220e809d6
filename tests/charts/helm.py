"""Renders and lints the charts with real Helm. Renderings are kept for the whole run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import helm_python

from k8s.preflight.rendering import THROWAWAY, Object, documents, merged, objects, overlay
from tests.servers import CHECKOUT

CHARTS = CHECKOUT / "charts"
RELEASE = "tierflow"
NAMESPACE = "there"
SEVERITY_WARNING = 2


class Refusal(Exception):
    """Helm does not render these values; its message, in one line."""


@dataclass(frozen=True)
class Rendering:
    """What an install would create."""

    objects: tuple[Object, ...]
    notes: str

    def of_kind(self, *kinds: str) -> Iterator[Object]:
        return (each for each in self.objects if each["kind"] in kinds)

    def one(self, kind: str, name: str) -> Object:
        """Raises AssertionError where there is none, or several."""
        found = [each for each in self.of_kind(kind) if each["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects {kind}/{name}"
        return found[0]

    def has(self, kind: str, name: str) -> bool:
        return any(each["metadata"]["name"] == name for each in self.of_kind(kind))


def render(
    values: Mapping[str, Any] | None = None,
    *,
    chart: str = "tierflow",
    release: str = RELEASE,
    namespace: str = NAMESPACE,
) -> Rendering:
    """Raises Refusal."""
    return _render(chart, json.dumps(overlay(THROWAWAY, dict(values or {}))), release, namespace)


def values_of(*files: Path) -> Object:
    """Of values files, later ones over earlier ones."""
    return merged(files)


def lint(values: Mapping[str, Any] | None = None, *, chart: str = "tierflow") -> list[str]:
    """Warnings and errors. Sub-charts are not linted with it: each is a chart of its own."""
    report = helm_python.lint(CHARTS / chart, overlay(THROWAWAY, dict(values or {})), strict=True)
    found = [each["error"] for each in report["messages"] if each["severity"] >= SEVERITY_WARNING]
    return [*found, *report["errors"]]


@cache
def _render(chart: str, values: str, release: str, namespace: str) -> Rendering:
    try:
        # Loaded anew each time: a sub-chart that values switch off is gone from the loaded chart.
        with helm_python.Chart.load(CHARTS / chart) as loaded:
            rendered = loaded.render(json.loads(values), name=release, namespace=namespace)
    except helm_python.HelmError as error:
        raise Refusal(" ".join(str(error).split())) from error
    notes = rendered.get(f"{chart}/templates/NOTES.txt", "")
    return Rendering(objects(documents(rendered.items()), chart), notes)
