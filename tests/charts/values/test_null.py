"""null turns a part off, or is answered with a sentence: it never breaks a template."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.charts import CHARTS
from tests.charts.cases import UMBRELLA
from tests.charts.helm import Refusal, render

pytestmark = pytest.mark.helm

PARTS: dict[str, dict[str, Any]] = {
    "gateway": {
        "keda": {"enabled": True, "prometheus": {"serverAddress": "http://x"}},
        "ingress": {"enabled": True, "hosts": [{"host": "a.example"}]},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
        "serviceMonitor": {"enabled": True},
        "tls": {"secretName": "mine", "operations": False},
        "devices": {"names": ["kitchen"]},
    },
    "model-pool": {
        "pool": "edge",
        "tier": "edge",
        "model": {"hub": "owner/model"},
        "keda": {"enabled": True, "maxReplicas": 1, "gatewayUrl": "http://gateway/metrics"},
        "podMonitor": {"enabled": True},
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
        "gpu": {"count": 1},
        "lora": {"modules": [{"name": "sql", "hub": "owner/sql"}]},
    },
    "tierflow": UMBRELLA["keda"],
}
"""Everything that can be on, so that null meets templates that are in use."""
SENTENCE = re.compile("execution error at|don't meet the specifications of the schema")
"""How Helm reports what a chart says itself, by `fail` or in its schema."""


def paths(values: dict[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    """Of every map and list, and of every text and number that is not empty by itself."""
    for name, value in values.items():
        if isinstance(value, dict | list) or (value and value is not True):
            yield *above, name
        if isinstance(value, dict):
            yield from paths(value, *above, name)


def with_null(values: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    name, *rest = path
    below = values.get(name)
    inner = below if isinstance(below, dict) else {}
    return values | {name: with_null(inner, tuple(rest)) if rest else None}


def defaults(chart: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHARTS[chart] / "values.yaml").read_text())
    return found


WALKED = [(chart, path) for chart in CHARTS for path in paths(defaults(chart))]


def outcome(values: dict[str, Any], chart: str) -> str:
    """The sentence; empty where it renders."""
    try:
        for each in render(values, chart=chart).objects:
            assert each["metadata"]["name"]
    except Refusal as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize(("chart", "path"), WALKED, ids=[f"{c}:{'.'.join(p)}" for c, p in WALKED])
def test_null_is_off_or_answered_with_a_sentence(chart: str, path: tuple[str, ...]) -> None:
    values = PARTS[chart]
    if path[0] in ("dashboards", "prometheusRules"):
        values = {path[0]: {"enabled": True}}
    said = outcome(with_null(values, path), chart)
    assert not said or SENTENCE.search(said), said


POOL = [
    name
    for name, value in defaults("model-pool").items()
    if isinstance(value, dict | list) and name not in {"global", "test", "extraObjects"}
]


@pytest.mark.parametrize("name", POOL)
def test_null_for_one_pool_of_several_is_as_for_one_that_stands_alone(name: str) -> None:
    said = outcome({"pools": {"edge": {name: None}}}, "tierflow")
    assert not said or SENTENCE.search(said), said


@pytest.mark.parametrize("probe", ["startup", "readiness", "liveness"])
def test_a_probe_that_is_null_is_off(probe: str) -> None:
    values = {"gateway": {"probes": {probe: None}}, "model-pool": {"probes": {probe: None}}}
    found = render(values)
    for name in ("tierflow-gateway", "tierflow-edge"):
        (container,) = found.one("Deployment", name)["spec"]["template"]["spec"]["containers"]
        left = {key for key in container if key.endswith("Probe")}
        assert left == {"startupProbe", "readinessProbe", "livenessProbe"} - {f"{probe}Probe"}


@pytest.mark.parametrize(
    ("values", "kind", "name"),
    [
        ({"redis": None}, "Deployment", "tierflow-redis"),
        ({"gateway": {"autoscaling": None}}, "HorizontalPodAutoscaler", "tierflow-gateway"),
        ({"gateway": {"podDisruptionBudget": None}}, "PodDisruptionBudget", "tierflow-gateway"),
        ({"networkPolicy": None}, "NetworkPolicy", "tierflow-default-deny"),
        ({"gateway": {"test": None}}, "Pod", "tierflow-gateway-test"),
    ],
)
def test_a_part_that_is_null_is_off(values: dict[str, Any], kind: str, name: str) -> None:
    assert render({}).has(kind, name)
    assert not render(values).has(kind, name)
