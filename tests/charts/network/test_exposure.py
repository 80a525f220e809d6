"""What an Ingress and an HTTPRoute publish of the gateway: inference, and nothing of its inside."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api.listeners import (
    FOR_CALLERS,
    FOR_CALLERS_BELOW,
    FOR_OPERATORS,
    FOR_OPERATORS_BELOW,
)
from tests.charts.cases import DEPLOYMENTS, rendered
from tests.charts.helm import Refusal, Rendering, render

pytestmark = pytest.mark.helm
PROBES = {"/ready", "/health"}
OUTSIDE = (FOR_CALLERS - PROBES) | {f"{prefix}x" for prefix in FOR_CALLERS_BELOW}
INSIDE = PROBES | FOR_OPERATORS | {f"{prefix}x" for prefix in FOR_OPERATORS_BELOW}
INSIDE |= {"/", "/v1", "/v1x", "/v1/admin/enrolments"}
EXPOSED = ["exposed", *(f"deploy/{name}" for name in DEPLOYMENTS)]


def published(rendering: Rendering) -> list[tuple[str, set[str]]]:
    """Of each host and route: where it stands, and the prefixes."""
    found = []
    for each in rendering.of_kind("Ingress"):
        for rule in each["spec"]["rules"]:
            paths = rule["http"]["paths"]
            assert {path["pathType"] for path in paths} == {"Prefix"}
            found.append((f"Ingress {rule.get('host')}", {path["path"] for path in paths}))
    for each in rendering.of_kind("HTTPRoute"):
        rules = each["spec"]["rules"]
        assert all(len(rule["matches"]) <= 8 for rule in rules)
        paths = [match["path"] for rule in rules for match in rule["matches"]]
        assert {path["type"] for path in paths} == {"PathPrefix"}
        found.append(("HTTPRoute", {path["value"] for path in paths}))
    return found


def passes(path: str, prefixes: set[str]) -> bool:
    """By whole elements, as both kinds define it."""
    return any(f"{path}/".startswith(f"{prefix.rstrip('/')}/") for prefix in prefixes)


@pytest.mark.parametrize("name", EXPOSED)
def test_inference_is_published_and_metrics_and_state_are_not(name: str) -> None:
    for where, prefixes in published(rendered(name)):
        assert {path for path in OUTSIDE if not passes(path, prefixes)} == set(), where
        assert {path for path in INSIDE if passes(path, prefixes)} == set(), where


def test_both_kinds_publish_every_path() -> None:
    assert [where for where, _ in published(rendered("exposed"))] == [
        "Ingress llm.example.org",
        "HTTPRoute",
    ]


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("ingress", {"hosts": [{"host": "a.example"}, {"host": "b.example"}]}),
        ("httpRoute", {"parentRefs": [{"name": "public"}]}),
    ],
)
def test_the_published_paths_can_be_chosen(kind: str, needed: dict[str, Any]) -> None:
    values = {"enabled": True, "paths": ["/v1/models", "/v1/chat"]} | needed
    found = published(render({"gateway": {kind: values}}))
    assert len(found) == len(next(iter(needed.values())))
    assert all(prefixes == {"/v1/models", "/v1/chat"} for _, prefixes in found)


@pytest.mark.parametrize("kind", ["ingress", "httpRoute"])
@pytest.mark.parametrize("paths", [[], ["v1"], ["/v1", "/v1"], ["/v1?x"]])
def test_lists_that_are_no_paths_are_refused(kind: str, paths: list[str]) -> None:
    with pytest.raises(Refusal, match="paths"):
        render({"gateway": {kind: {"paths": paths}}})
