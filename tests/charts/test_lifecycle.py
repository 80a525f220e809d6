"""Pods end without cutting requests off, and restart when, and only when, they must."""

from typing import Any

import pytest
import yaml

from gateway.adapters.logs import CLOSE_S
from gateway.api.http_server import LAST_BYTES_S
from gateway.serving.requests.drain import LAST_WORDS_S
from k8s.preflight.rendering import Object
from tests.charts.cases import every_rendering, rendered
from tests.charts.helm import CHARTS, Rendering, render
from tests.charts.pods import Pod, pods

pytestmark = pytest.mark.helm


def shutdown_seconds(rendering: Rendering, pod: Pod) -> float:
    """How long the process takes at most once it is told to end."""
    if pod.component == "gateway":
        life = settings_of(rendering)["lifecycle"]
        return float(life["notice_s"] + life["drain_s"] + LAST_WORDS_S + LAST_BYTES_S + CLOSE_S)
    (engine,) = pod.spec["containers"]
    arguments = engine["args"]
    return int(arguments[arguments.index("--shutdown-timeout") + 1])


@every_rendering
def test_the_grace_period_is_longer_than_waiting_and_shutting_down_together(name: str) -> None:
    rendering = rendered(name)
    for pod in pods(rendering):
        if pod.component not in ("gateway", "engine") or pod.owner.endswith("worker"):
            continue
        waiting = pre_stop_seconds(pod)
        # The gateway itself serves on for a while; an engine stops at once.
        assert (waiting > 0) == (pod.component == "engine")
        grace = pod.spec["terminationGracePeriodSeconds"]
        assert grace > waiting + shutdown_seconds(rendering, pod)


@pytest.mark.parametrize("chart", ["gateway", "model-pool"])
def test_every_lifecycle_value_changes_what_is_rendered(chart: str) -> None:
    tier = {} if chart == "gateway" else {"tier": "edge"}
    plain = render(tier, chart=chart)
    lifecycle = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())["lifecycle"]
    assert lifecycle
    for name, value in lifecycle.items():
        more = value + 7 if name == "terminationGracePeriodSeconds" else value - 1
        changed = render(tier | {"lifecycle": {name: more}}, chart=chart)
        assert changed.objects != plain.objects, name


def test_the_gateways_lifecycle_values_are_its_settings() -> None:
    lifecycle = {
        "noticeSeconds": 3,
        "drainSeconds": 40,
        "terminationGracePeriodSeconds": 58,
    }
    rendering = render({"gateway": {"lifecycle": lifecycle}})
    assert settings_of(rendering)["lifecycle"] == {"notice_s": 3, "drain_s": 40}
    (gateway,) = [pod for pod in pods(rendering) if pod.component == "gateway"]
    assert gateway.spec["terminationGracePeriodSeconds"] == 58


def pre_stop_seconds(pod: Pod) -> int:
    (container,) = pod.spec["containers"]
    hook = container.get("lifecycle", {}).get("preStop")
    return int(hook["exec"]["command"][-1]) if hook else 0


def settings_of(rendering: Rendering) -> dict[str, Any]:
    """The gateway's file of settings."""
    for each in rendering.of_kind("ConfigMap"):
        if "gateway.yaml" in each["data"]:
            found: dict[str, Any] = yaml.safe_load(each["data"]["gateway.yaml"])
            return found
    raise AssertionError("no ConfigMap has the gateway's settings")


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
