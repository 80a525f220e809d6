"""The values that we ship, judged against a small cluster that has none of the optional parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from k8s.preflight.images import image
from k8s.preflight.rendering import overlay
from tests.charts.cases import DEPLOYMENTS
from tests.charts.helm import render, values_of
from tests.charts.pods import pods
from tests.integration.preflight.admission import Namespace
from tests.integration.preflight.cluster import REVIEWS, index, kinds, listed, manifest_path, node
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


@pytest.fixture(scope="module")
def manifest_paths() -> set[str]:
    """Where a registry has the images of all that is deployed."""
    mirror = {"global": {"imageRegistry": "mirror.example"}}
    layers = [{}, *(values_of(each) for each in DEPLOYMENTS.values())]
    images = {
        image(container["image"])
        for values in layers
        for pod in pods(render(overlay(values, mirror)))
        for container in pod.containers
    }
    return {manifest_path(each.repository, each.tag) for each in images}


@pytest.fixture
def files(
    api: StandIn, registry: StandIn, tmp_path: Path, manifest_paths: set[str]
) -> dict[str, list[Path]]:
    """Values files by name, over which the images come from the stand-in."""
    api.answers.update(BUILT_IN)
    registry.answers.update(dict.fromkeys(manifest_paths, index("amd64")))
    mirror = tmp_path / "mirror.yaml"
    mirror.write_text(yaml.safe_dump({"global": {"imageRegistry": registry.address}}))
    return {"defaults": [mirror]} | {name: [each, mirror] for name, each in DEPLOYMENTS.items()}


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


@pytest.mark.parametrize(
    ("gpus", "result"),
    [(4, "ok"), (3, "warning"), (2, "warning")],
)
def test_the_clouds_cards_are_counted_over_its_pools_and_one_of_these_sleeps_at_first(
    preflight: Preflight,
    api: StandIn,
    files: dict[str, list[Path]],
    gpus: int,
    result: str,
) -> None:
    large = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "2Ti", "pods": "110"}
    found = node(gpus=gpus, allocatable={**large, "nvidia.com/gpu": str(gpus)})
    found["metadata"]["labels"]["nvidia.com/gpu.product"] = "NVIDIA-H200"
    api.answers["/api/v1/nodes"] = listed(found)
    row = preflight(values=files["cloud"]).rows["room on the nodes"]
    assert row["result"] == result, row


def test_an_edge_site_lacks_its_ingress_class_and_the_key_that_the_values_name(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]]
) -> None:
    lacking = preflight(values=files["edge"])
    missing = [check for check, row in lacking.rows.items() if row["result"] == "missing"]
    assert missing == ["ingress class", "Secret cloud-key"]
    assert lacking.rows["Secret cloud-key"]["todo"].endswith(
        "kubectl -n tierflow create secret generic cloud-key --from-literal=api-key=…"
    )
    traefik = {"items": [{"metadata": {"name": "traefik"}}], "metadata": {}}
    api.answers["/apis/networking.k8s.io/v1/ingressclasses"] = Answer(traefik)
    there = Namespace()
    there.add("secrets", "cloud-key", another="c2VjcmV0")
    api.answers.update(there.answers())
    assert preflight(values=files["edge"]).rows["Secret cloud-key"]["found"] == "it lacks api-key"
    there.add("secrets", "cloud-key", **{"api-key": "c2VjcmV0"})
    api.answers.update(there.answers())
    assert preflight(values=files["edge"]).code == 0


@pytest.mark.parametrize("name", ["defaults", "kind"])
def test_our_values_are_taken_by_a_namespace_that_enforces_restricted(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]], name: str
) -> None:
    api.answers["/api/v1/nodes"] = listed(node(allocatable={"cpu": "8", "memory": "32Gi"}))
    api.answers.update(Namespace(level="restricted").answers())
    outcome = preflight(values=files[name])
    assert outcome.rows["pod security"]["found"] == "restricted is enforced, and no pod violates it"
    asked = [check for check in outcome.rows if check.startswith("admission of ")]
    assert len(asked) >= 3
    assert {outcome.result(check) for check in asked} == {"ok"}
    assert outcome.code == 0


def test_the_api_servers_real_port_is_held_against_the_charts_policy(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]]
) -> None:
    api.answers["/api/v1/nodes"] = listed(node(allocatable={"cpu": "8", "memory": "32Gi"}))
    row = "way to the API server"
    fits = preflight(values=files["defaults"])
    assert (fits.result(row), fits.rows[row]["found"]) == ("ok", "10.1.2.3:6443")
    api.answers.update(Namespace(api_port=16443).answers())
    outcome = preflight(values=files["defaults"])
    assert (outcome.code, outcome.result(row)) == (1, "missing")
    assert "10.1.2.3:16443" in outcome.rows[row]["found"]
    assert "gateway.networkPolicy.apiServer" in outcome.rows[row]["todo"]
    shut = {
        "metadata": {"name": "no-egress"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
    }
    api.answers.update(Namespace(policies=[shut]).answers())
    off = ["--set", "gateway.networkPolicy.enabled=false"]
    assert preflight(values=files["defaults"]).result(row) == "ok", "the chart's policy opens it"
    assert preflight(values=files["defaults"], settings=off).result(row) == "missing"
    api.answers.update(Namespace(api_port=16443).answers())
    opened = ["--set", "gateway.networkPolicy.apiServer.ports={443,16443}"]
    assert preflight(values=files["defaults"], settings=opened).result(row) == "ok"


def test_the_rights_that_are_asked_about_are_those_of_the_rendered_objects(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]]
) -> None:
    preflight(values=files["defaults"])
    asked = {
        (each["verb"], each["resource"])
        for request in api.requests
        if request.path == REVIEWS
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


REFUSED_AT_START = [
    ("--set", "gateway.config.collective.aggregator=ril-clouds", "did you mean rill-cloud?"),
    (
        "--set-json",
        'gateway.config.cascade.stages=[{"model":"ril-edges"},{"model":"rill-cloud"}]',
        "did you mean rill-edge?",
    ),
    (
        "--set-json",
        'gateway.extraEnv=[{"name":"TIERFLOW_GATEWAY_TIMEOUT__IDLE_S","value":"6"}]',
        "TIERFLOW_GATEWAY_TIMEOUT__IDLE_S is no variable of Tierflow; did you mean "
        "TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S?",
    ),
    (
        "--set-json",
        'gateway.extraEnv=[{"name":"TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S","value":"soon"}]',
        "timeouts.idle_s",
    ),
    (
        "--set-json",
        'gateway.extraEnv=[{"name":"TIERFLOW_GATEWAY_LIMITS__MAX_QUE","valueFrom":'
        '{"secretKeyRef":{"name":"elsewhere","key":"x"}}}]',
        "TIERFLOW_GATEWAY_LIMITS__MAX_QUE is no variable of Tierflow",
    ),
]


@pytest.mark.parametrize(("flag", "value", "sentence"), REFUSED_AT_START)
def test_what_the_gateway_would_refuse_at_its_start_is_missing_in_its_own_words(
    preflight: Preflight,
    api: StandIn,
    files: dict[str, list[Path]],
    flag: str,
    value: str,
    sentence: str,
) -> None:
    outcome = preflight(values=files["defaults"], settings=[flag, value])
    row = outcome.rows["settings of Deployment/tierflow-gateway"]
    assert (outcome.code, row["result"]) == (1, "missing")
    assert sentence in row["found"]


@pytest.mark.parametrize("name", ["defaults", *DEPLOYMENTS])
def test_the_gateway_takes_the_settings_of_the_values_that_we_ship(
    preflight: Preflight, files: dict[str, list[Path]], name: str
) -> None:
    assert preflight(values=files[name]).result("settings of Deployment/tierflow-gateway") == "ok"


NODE_PORT = ["--set", "gateway.service.type=NodePort", "--set", "gateway.service.nodePort=80"]


def test_objects_beside_the_pods_that_the_api_server_refuses_are_missing_in_its_words(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]]
) -> None:
    outcome = preflight(values=files["defaults"], settings=NODE_PORT)
    row = outcome.rows["creation of Service/tierflow-gateway"]
    assert (outcome.code, row["result"]) == (1, "missing")
    assert row["found"].startswith("spec.ports[0].nodePort: Invalid value: 80")
    asked = {r.path.rpartition("/")[2] for r in api.requests if "dryRun" in r.query}
    assert {"deployments", "services", "secrets", "networkpolicies", "roles", "pods"} <= asked
    assert all(r.query["dryRun"] == "All" for r in api.requests if r.method == "POST" and r.query)


def test_objects_that_one_may_not_create_are_not_checked(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]]
) -> None:
    api.answers.update(Namespace(may_create=False).answers())
    row = preflight(values=files["defaults"], settings=NODE_PORT).rows["objects beside the pods"]
    assert row["result"] == "not checked"
    assert 'cannot create resource "' in row["found"]


def test_objects_that_are_there_already_are_taken(
    preflight: Preflight, api: StandIn, files: dict[str, list[Path]]
) -> None:
    there = Namespace()
    there.add("services", "tierflow-gateway")
    api.answers.update(there.answers())
    assert preflight(values=files["defaults"]).result("objects beside the pods") == "ok"
