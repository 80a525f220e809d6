"""Pods end without cutting requests off, and restart when, and only when, they must."""

from typing import Any

import pytest

from k8s.preflight.rendering import Object
from tests.charts.cases import every_rendering, rendered
from tests.charts.helm import Rendering, render
from tests.charts.pods import Pod, pods

pytestmark = pytest.mark.helm
DRAIN_S = 30
"""How long the gateway lets running requests finish (gateway/__main__.py)."""


def shutdown_seconds(pod: Pod) -> int:
    """How long the process takes at most once it is told to end."""
    if pod.component == "gateway":
        return DRAIN_S
    (engine,) = pod.spec["containers"]
    arguments = engine["args"]
    return int(arguments[arguments.index("--shutdown-timeout") + 1])


@every_rendering
def test_the_grace_period_is_longer_than_waiting_and_shutting_down_together(name: str) -> None:
    for pod in pods(rendered(name)):
        if pod.component not in ("gateway", "engine") or pod.owner.endswith("worker"):
            continue
        (container,) = pod.spec["containers"]
        waiting = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
        assert waiting > 0
        assert pod.spec["terminationGracePeriodSeconds"] > waiting + shutdown_seconds(pod)


@every_rendering
def test_engines_have_an_hour_to_start_and_prove_themselves_ready(name: str) -> None:
    for pod in pods(rendered(name)):
        if pod.component != "engine" or pod.owner.endswith("worker"):
            continue
        (container,) = pod.spec["containers"]
        startup = container["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 3600
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}
            assert container[probe]["timeoutSeconds"] >= 1


def least_replicas(rendering: Rendering, owner: Object) -> int:
    for scaler in rendering.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) == (owner["kind"], owner["metadata"]["name"]):
            least = scaler["spec"].get("minReplicas", scaler["spec"].get("minReplicaCount"))
            return int(least)
    return int(owner["spec"]["replicas"])


@every_rendering
def test_what_an_autoscaler_scales_has_no_replicas_of_its_own(name: str) -> None:
    found = rendered(name)
    scaled = [
        (each["spec"]["scaleTargetRef"]["kind"], each["spec"]["scaleTargetRef"]["name"])
        for each in found.of_kind("HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(scaled) == len(set(scaled)), "two autoscalers for one workload"
    for kind, owner in scaled:
        assert "replicas" not in found.one(kind, owner)["spec"]
    for each in found.of_kind("Deployment", "LeaderWorkerSet"):
        if (each["kind"], each["metadata"]["name"]) not in scaled:
            assert each["spec"]["replicas"] >= 1


@every_rendering
def test_a_disruption_budget_never_forbids_the_last_pod_to_move(name: str) -> None:
    found = rendered(name)
    for budget in found.of_kind("PodDisruptionBudget"):
        spec = budget["spec"]
        if "maxUnavailable" in spec:
            assert spec["maxUnavailable"] not in (0, "0%"), budget["metadata"]["name"]
            continue
        selector = spec["selector"]["matchLabels"]
        for owner in found.of_kind("Deployment"):
            labels = owner["spec"]["template"]["metadata"]["labels"]
            if selector.items() <= labels.items():
                assert spec["minAvailable"] < least_replicas(found, owner)


@every_rendering
def test_autoscalers_have_room_between_their_limits(name: str) -> None:
    for each in rendered(name).of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        spec = each["spec"]
        least = spec.get("minReplicas", spec.get("minReplicaCount"))
        assert least <= spec.get("maxReplicas", spec.get("maxReplicaCount"))


def checksum(values: dict[str, Any]) -> object:
    deployment = render(values).one("Deployment", "tierflow-gateway")
    return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]


def test_a_changed_setting_restarts_the_gateway_and_an_unchanged_one_does_not() -> None:
    plain = checksum({})
    assert checksum({"gateway": {"config": {"log_level": "debug"}}}) != plain
    assert checksum({"gateway": {"pools": {"edge": {"tier": "edge", "hold_s": 9}}}}) != plain
    assert checksum({"model-pool": {"replicas": 2}}) == plain
