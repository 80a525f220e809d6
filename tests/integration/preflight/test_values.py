"""The values that we ship, judged against a small cluster that has none of the optional parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from k8s.preflight.images import image
from tests.charts.cases import DEPLOYMENTS
from tests.charts.helm import render, values_of
from tests.charts.pods import pods
from tests.integration.preflight.cluster import index, kinds, listed, manifest_path, node
from tests.integration.preflight.conftest import Preflight
from tests.stand_in import Answer, StandIn

pytestmark = pytest.mark.integration

BUILT_IN = {
    "/api/v1": kinds(
        Service="services",
        PersistentVolumeClaim="persistentvolumeclaims",
        ConfigMap="configmaps",
        Secret="secrets",
        ServiceAccount="serviceaccounts",
        Pod="pods",
    ),
    "/apis/autoscaling/v2": kinds(HorizontalPodAutoscaler="horizontalpodautoscalers"),
    "/apis/policy/v1": kinds(PodDisruptionBudget="poddisruptionbudgets"),
    "/apis/networking.k8s.io/v1": kinds(NetworkPolicy="networkpolicies", Ingress="ingresses"),
    "/apis/rbac.authorization.k8s.io/v1": kinds(Role="roles", RoleBinding="rolebindings"),
}


@pytest.fixture
def files(api: StandIn, registry: StandIn, tmp_path: Path) -> dict[str, list[Path]]:
    """Values files by name, over which the images come from the stand-in."""
    api.answers.update(BUILT_IN)
    mirror = tmp_path / "mirror.yaml"
    mirror.write_text(yaml.safe_dump({"global": {"imageRegistry": registry.address}}))
    found = {"defaults": [mirror]} | {name: [each, mirror] for name, each in DEPLOYMENTS.items()}
    for layers in found.values():
        for pod in pods(render(values_of(*layers))):
            for name in (container["image"] for container in pod.containers):
                registry.answers[manifest_path(image(name).repository, image(name).tag)] = index(
                    "amd64"
                )
    return found


@pytest.mark.parametrize("name", ["defaults", "kind"])
def test_values_for_cpus_find_nothing_missing_on_a_plain_cluster(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]], name: str
) -> None:
    api.answers["/api/v1/nodes"] = listed(node(allocatable={"cpu": "8", "memory": "32Gi"}))
    outcome = preflight(values=files[name])
    wrong = {check: row for check, row in outcome.rows.items() if row["result"] == "missing"}
    assert (wrong, outcome.code) == ({}, 0)
    assert outcome.rows["KEDA"]["found"] == "the values do not use it"


def test_values_for_a_gpu_cloud_name_everything_that_the_cluster_lacks(
    preflight: Preflight, files: dict[str, list[Path]]
) -> None:
    outcome = preflight(values=files["cloud"])
    assert outcome.code == 1
    for check in ("nvidia.com/gpu", "KEDA", "Prometheus operator", "ingress class"):
        assert outcome.result(check) == "missing", check
        assert outcome.rows[check]["todo"]
    volume = outcome.rows["volume tierflow-cloud-models"]
    assert (volume["result"], volume["found"]) == ("missing", "there is no class shared")
    assert outcome.result("Gateway API") == "ok"


def test_an_edge_site_lacks_only_its_ingress_class(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]]
) -> None:
    lacking = preflight(values=files["edge"])
    missing = [check for check, row in lacking.rows.items() if row["result"] == "missing"]
    assert missing == ["ingress class"]
    traefik = {"items": [{"metadata": {"name": "traefik"}}], "metadata": {}}
    api.answers["/apis/networking.k8s.io/v1/ingressclasses"] = Answer(traefik)
    assert preflight(values=files["edge"]).code == 0


def test_the_rights_that_are_asked_about_are_those_of_the_rendered_objects(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]]
) -> None:
    preflight(values=files["defaults"])
    asked = {
        (each["verb"], each["resource"])
        for request in api.requests
        if request.method == "POST"
        for each in [request.body["spec"]["resourceAttributes"]]
    }
    for resource in ("deployments", "services", "networkpolicies", "rolebindings", "secrets"):
        assert {("create", resource), ("patch", resource), ("delete", resource)} <= asked
    assert {("list", "endpointslices"), ("watch", "endpointslices")} <= asked
    assert ("watch", "endpointslices") in asked
    assert ("create", "persistentvolumeclaims") in asked, "Redis keeps what was enrolled"
    assert ("create", "ingresses") not in asked


def test_values_are_given_by_helms_own_flags_one_over_the_other(
    preflight: Preflight, files: dict[str, list[Path]]
) -> None:
    chosen = "pools.edge.replicas"
    several = preflight(values=files["defaults"], settings=["--set", f"{chosen}=40"])
    assert several.result("room on the nodes") == "missing"
    last = ["--set", f"{chosen}=40", "--set", f"{chosen}=1"]
    assert preflight(values=files["defaults"], settings=last).code != 2
