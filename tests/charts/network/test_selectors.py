"""Selectors hold only what never changes, and find the pods that they are for."""

import json
from collections.abc import Iterator, Mapping

import pytest

from k8s.preflight.rendering import Object
from tests.charts.cases import every_rendering, rendered
from tests.charts.helm import Rendering, render
from tests.charts.pods import pods

pytestmark = pytest.mark.helm
IMMUTABLE = {
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "tierflow.dev/pool",
}
SET_BY_OPERATORS = {"leaderworkerset.sigs.k8s.io/worker-index"}
"""Labels that pods get when they are made."""


def selectors(rendering: Rendering) -> Iterator[tuple[Object, Mapping[str, str]]]:
    """Selectors of pods, by equality, but those of network policies."""
    for each in rendering.objects:
        spec = each.get("spec") or {}
        if each["kind"] == "Service":
            yield each, spec["selector"]
        elif each["kind"] in (
            "Deployment",
            "StatefulSet",
            "PodDisruptionBudget",
            "PodMonitor",
        ):
            yield each, spec["selector"]["matchLabels"]


@every_rendering
def test_selectors_hold_only_labels_that_never_change(name: str) -> None:
    for each, selector in selectors(rendered(name)):
        assert selector.keys() <= IMMUTABLE | SET_BY_OPERATORS, each["metadata"]["name"]


@every_rendering
def test_every_selector_finds_pods_of_one_component(name: str) -> None:
    for each, selector in selectors(rendered(name)):
        wanted = {key: value for key, value in selector.items() if key not in SET_BY_OPERATORS}
        found = [pod for pod in pods(rendered(name)) if wanted.items() <= pod.labels.items()]
        assert found, f"{each['kind']}/{each['metadata']['name']} selects no pod"
        assert len({pod.component for pod in found}) == 1


@every_rendering
def test_a_workload_selects_its_own_pods_and_no_others(name: str) -> None:
    for each in rendered(name).of_kind("Deployment", "StatefulSet"):
        selector = each["spec"]["selector"]["matchLabels"]
        owners = {
            pod.owner for pod in pods(rendered(name)) if selector.items() <= pod.labels.items()
        }
        assert owners == {f"{each['kind']}/{each['metadata']['name']}"}


@every_rendering
def test_ports_of_services_are_named_ports_of_their_pods(name: str) -> None:
    for service in rendered(name).of_kind("Service"):
        selector = service["spec"]["selector"]
        wanted = {key: value for key, value in selector.items() if key not in SET_BY_OPERATORS}
        for pod in pods(rendered(name)):
            if not wanted.items() <= pod.labels.items() or pod.owner.endswith("worker"):
                continue
            for port in service["spec"]["ports"]:
                assert port["targetPort"] in pod.ports, f"{pod.owner}: {port['name']}"


@every_rendering
def test_monitors_scrape_ports_that_exist(name: str) -> None:
    found = rendered(name)
    for monitor in found.of_kind("ServiceMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        services = [
            service
            for service in found.of_kind("Service")
            if selector.items() <= service["metadata"]["labels"].items()
        ]
        ports = {port["name"] for service in services for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports
    for monitor in found.of_kind("PodMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        matched = [pod for pod in pods(found) if selector.items() <= pod.labels.items()]
        ports = {port for pod in matched for port in pod.ports}
        assert {end["port"] for end in monitor["spec"]["podMetricsEndpoints"]} <= ports


@every_rendering
def test_routes_lead_to_services_that_exist(name: str) -> None:
    found = rendered(name)
    for each in found.of_kind("Ingress"):
        for rule in each["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                target = path["backend"]["service"]
                ports = found.one("Service", target["name"])["spec"]["ports"]
                assert target["port"]["name"] in {port["name"] for port in ports}
    for each in found.of_kind("HTTPRoute"):
        for rule in each["spec"]["rules"]:
            for target in rule["backendRefs"]:
                ports = found.one("Service", target["name"])["spec"]["ports"]
                assert target["port"] in {port["port"] for port in ports}


def test_labels_of_ones_own_go_to_the_pods_and_into_no_selector() -> None:
    mine = {"team": "red"}
    labelled = render({"gateway": {"podLabels": mine}, "model-pool": {"podLabels": mine}})
    for pod in pods(labelled):
        if pod.component in ("gateway", "engine"):
            assert pod.labels["team"] == "red"
    assert "team" not in json.dumps([selector for _, selector in selectors(labelled)])


def test_a_new_version_changes_no_selector() -> None:
    before = [selector for _, selector in selectors(rendered("defaults"))]
    newer = render(
        {"model-pool": {"image": {"tag": "9.9.9"}}, "gateway": {"image": {"tag": "9.9.9"}}}
    )
    assert [selector for _, selector in selectors(newer)] == before
