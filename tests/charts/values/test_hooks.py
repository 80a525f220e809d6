"""What platform teams hang on to pods and objects arrives where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.charts.cases import MONITORED
from tests.charts.helm import Rendering, render
from tests.charts.pods import Pod, pods

pytestmark = pytest.mark.helm
SIDE = [{"name": "side", "image": "example.org/side:1"}]
AMOUNTS = {"requests": {"ephemeral-storage": "1Gi"}, "limits": {"ephemeral-storage": "20Gi"}}

OF_PODS: dict[str, Any] = {
    "schedulerName": "volcano",
    "runtimeClassName": "gvisor",
    "priorityClassName": "high",
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["192.0.2.53"]},
    "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["engines.example"]}],
    "nodeSelector": {"zone": "a"},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
}
"""Values of all three kinds of pods that stand in the pod's specification under the same name."""
OF_CONTAINERS: dict[str, tuple[str, Any]] = {
    "extraEnv": ("env", [{"name": "A", "value": "b"}]),
    "extraEnvFrom": ("envFrom", [{"secretRef": {"name": "proxy"}}]),
    "extraVolumeMounts": ("volumeMounts", [{"name": "more", "mountPath": "/more"}]),
}


def placed(component: str, values: Mapping[str, Any]) -> Rendering:
    where = {"gateway": "gateway", "engine": "model-pool", "redis": "redis"}[component]
    return render({where: dict(values)})


def of(component: str, rendering: Rendering) -> list[Pod]:
    found = [pod for pod in pods(rendering) if pod.component == component]
    assert found
    return found


@pytest.mark.parametrize("component", ["gateway", "engine", "redis"])
@pytest.mark.parametrize("name", OF_PODS)
def test_a_pod_has_what_is_said_of_it(component: str, name: str) -> None:
    for pod in of(component, placed(component, {name: OF_PODS[name]})):
        assert pod.spec[name] == OF_PODS[name]


@pytest.mark.parametrize("component", ["gateway", "engine"])
@pytest.mark.parametrize("name", OF_CONTAINERS)
def test_a_container_has_what_is_said_of_it(component: str, name: str) -> None:
    field, value = OF_CONTAINERS[name]
    for pod in of(component, placed(component, {name: value})):
        assert value[0] in pod.spec["containers"][0][field]


@pytest.mark.parametrize("component", ["gateway", "engine"])
def test_containers_stand_beside_the_main_one_and_before_it(component: str) -> None:
    for pod in of(component, placed(component, {"extraContainers": SIDE})):
        assert [each["name"] for each in pod.spec["containers"]] == [component, "side"]
    for pod in of(component, placed(component, {"extraInitContainers": SIDE})):
        assert pod.spec["initContainers"] == SIDE


def test_containers_of_ones_own_run_after_the_download() -> None:
    values = {"model": {"hub": "owner/model"}, "extraInitContainers": SIDE}
    (pod,) = of("engine", render({"pools": {"edge": values, "cloud": None}}))
    assert [each["name"] for each in pod.spec["initContainers"]] == ["download", "side"]


@pytest.mark.parametrize("component", ["gateway", "engine"])
def test_disk_is_asked_for_and_bounded(component: str) -> None:
    for pod in of(component, placed(component, {"resources": AMOUNTS})):
        resources = pod.spec["containers"][0]["resources"]
        for part, amounts in AMOUNTS.items():
            assert amounts.items() <= resources[part].items()
            assert {"cpu", "memory"} <= resources[part].keys()


def test_labels_and_annotations_of_all_reach_every_object_and_pod_and_no_selector() -> None:
    wanted = {"commonLabels": {"team": "a"}, "commonAnnotations": {"cost": "b"}}
    switched_on = {
        "keda": {"enabled": True},
        "ingress": {"enabled": True, "hosts": [{"host": "a.example"}]},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
        "serviceMonitor": {"enabled": True},
        "dashboards": {"enabled": True},
        "prometheusRules": {"enabled": True},
        "devices": {"names": ["kitchen"]},
    }
    pool = MONITORED | {
        "model": {"hub": "owner/model"},
        "keda": {"enabled": True, "maxReplicas": 1},
    }
    found = render({"global": wanted, "gateway": switched_on, "pools": {"edge": pool}})
    assert len({each["kind"] for each in found.objects}) > 15
    for each in found.objects:
        name = f"{each['kind']} {each['metadata']['name']}"
        assert each["metadata"]["labels"]["team"] == "a", name
        assert each["metadata"]["annotations"]["cost"] == "b", name
        assert "team" not in str(each.get("spec", {}).get("selector", "")), name
    for pod in pods(found):
        assert (pod.labels["team"], pod.annotations["cost"]) == ("a", "b"), pod.owner


def test_what_is_said_of_one_kind_of_pod_wins_over_what_is_said_of_all() -> None:
    found = render(
        {"global": {"commonLabels": {"team": "a"}}, "gateway": {"podLabels": {"team": "b"}}}
    )
    (gateway,) = of("gateway", found)
    assert gateway.labels["team"] == "b"


BALANCED: dict[str, Any] = {
    "type": "LoadBalancer",
    "loadBalancerClass": "example.org/internal",
    "loadBalancerIP": "192.0.2.1",
    "loadBalancerSourceRanges": ["198.51.100.0/24"],
    "externalTrafficPolicy": "Local",
    "internalTrafficPolicy": "Local",
    "trafficDistribution": "PreferClose",
    "sessionAffinity": "ClientIP",
    "ipFamilyPolicy": "RequireDualStack",
    "ipFamilies": ["IPv6", "IPv4"],
}
INSIDE = ("internalTrafficPolicy", "trafficDistribution", "ipFamilyPolicy", "ipFamilies")


def test_the_gateways_service_takes_what_load_balancers_and_networks_need() -> None:
    values = {"service": BALANCED | {"labels": {"a": "b"}, "annotations": {"c": "d"}}}
    service = render(values, chart="gateway").one("Service", "tierflow-gateway")
    assert BALANCED.items() <= service["spec"].items()
    assert service["metadata"]["labels"]["a"] == "b"
    assert service["metadata"]["annotations"]["c"] == "d"
    operations = render(values, chart="gateway").one("Service", "tierflow-gateway-operations")
    assert operations["spec"]["type"] == "ClusterIP"


def test_a_pools_service_takes_what_networks_need() -> None:
    wanted = {name: BALANCED[name] for name in INSIDE}
    service = render({"model-pool": {"service": wanted}}).one("Service", "tierflow-edge")
    assert wanted.items() <= service["spec"].items()


def test_scalers_take_metrics_and_behaviour() -> None:
    behaviour = {"scaleDown": {"stabilizationWindowSeconds": 600}}
    metric = {"type": "Pods", "pods": {"metric": {"name": "a"}}}
    wanted = {
        "behavior": behaviour,
        "targetCPUUtilizationPercentage": None,
        "targetMemoryUtilizationPercentage": 80,
        "metrics": [metric],
    }
    found = render({"autoscaling": wanted}, chart="gateway")
    spec = found.one("HorizontalPodAutoscaler", "tierflow-gateway")["spec"]
    assert spec["behavior"] == behaviour
    assert [one.get("resource", {}).get("name") for one in spec["metrics"]] == ["memory", None]
    assert spec["metrics"][-1] == metric
    scaled = render(
        {
            "gateway": {"keda": {"enabled": True, "behavior": behaviour}},
            "pools": {"edge": {"keda": {"enabled": True, "behavior": behaviour}}},
        }
    )
    for each in scaled.of_kind("ScaledObject"):
        advanced = each["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
        assert advanced["behavior"] == behaviour


@pytest.mark.parametrize("component", ["gateway", "engine"])
def test_rollouts_are_bounded_by_history_and_readiness(component: str) -> None:
    found = placed(component, {"revisionHistoryLimit": 7, "minReadySeconds": 9})
    name = {"gateway": "tierflow-gateway", "engine": "tierflow-edge"}[component]
    spec = found.one("Deployment", name)["spec"]
    assert (spec["revisionHistoryLimit"], spec["minReadySeconds"]) == (7, 9)
