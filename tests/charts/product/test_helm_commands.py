"""What people type: `helm template`, `install` and `upgrade` of Helm 3 and of Helm 4."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.charts import CHARTS
from tests.charts.api import KINDS, discovery
from tests.charts.cases import DEPLOYMENTS
from tests.charts.helm import NAMESPACE, RELEASE, render, values_of
from tests.charts.product.commands import Helm
from tests.integration.preflight.cluster import kubeconfig
from tests.stand_in import Answer, StandIn, stand_in

pytestmark = pytest.mark.helm
THROWAWAY = ("--set", "global.throwawaySecrets=true")
OWN: dict[str, Any] = {
    "global": {"draftsSecret": "mine", "redisSecret": "mine"},
    "gateway": {
        "keys": {"existingSecret": "mine"},
        "admin": {"existingSecret": "mine"},
        "devices": {"existingSecret": "mine"},
    },
}
GATEWAY = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RELEASE}-gateway"
EDGE = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RELEASE}-edge"


@pytest.fixture
def api() -> Iterator[StandIn]:
    with stand_in(discovery()) as server:
        yield server


@pytest.fixture
def reached(api: StandIn, tmp_path: Path) -> tuple[str, ...]:
    """The options by which a helm reaches the stand-in, and changes nothing there."""
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps(kubeconfig(api.url)))
    return ("--kubeconfig", str(config), "--dry-run=server", "--disable-openapi-validation")


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_values_file_renders_the_same_objects_as_by_the_library(
    helm: Helm, name: str
) -> None:
    values = values_of(DEPLOYMENTS[name])
    found = helm.run("template", *THROWAWAY, "--no-hooks", values=values)
    assert found.code == 0, found.said
    made = {
        (each["kind"], each["metadata"]["name"])
        for each in render(values).objects
        if "helm.sh/hook" not in each["metadata"].get("annotations", {})
    }
    assert {(each["kind"], each["metadata"]["name"]) for each in found.objects} == made


@pytest.mark.parametrize("chart", CHARTS)
def test_a_command_has_nothing_to_remark(helm: Helm, chart: str) -> None:
    folder = CHARTS["tierflow"].parent / chart
    found = helm.run("template", *THROWAWAY, chart=folder)
    assert (found.code, found.said) == (0, "")


@pytest.mark.parametrize("action", ["template", "install", "upgrade"])
def test_an_unknown_setting_is_named_before_anything_is_changed(
    helm: Helm, api: StandIn, reached: tuple[str, ...], action: str
) -> None:
    none = {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}
    api.answers[f"/api/v1/namespaces/{NAMESPACE}/secrets"] = Answer(none)
    options = {"template": (), "install": reached, "upgrade": ("--install", *reached)}[action]
    wrong = {"gateway": {"config": {"limits": {"max_que": 3}}}}
    refused = helm.run(action, *THROWAWAY, *options, values=wrong)
    assert refused.code == 1
    assert "max_que" in refused.said and "config" in refused.said, refused.said


def test_a_rendering_without_the_cluster_makes_no_secret_up(helm: Helm) -> None:
    refused = helm.run("template")
    assert refused.code == 1
    assert "name one of your own in keys.existingSecret" in refused.said


def test_nor_does_one_that_is_told_what_kinds_the_cluster_has(helm: Helm) -> None:
    """As Argo CD tells it: what can be listed and watched."""
    kinds = [f"{group}/{kind}" for group, each in KINDS.items() for kind in each.values()]
    options = [word for kind in (*KINDS, *kinds) for word in ("--api-versions", kind)]
    refused = helm.run("template", *options)
    assert "name one of your own in" in refused.said


def test_with_secrets_of_ones_own_two_renderings_are_the_same(helm: Helm) -> None:
    once, again = helm.run("template", values=OWN), helm.run("template", values=OWN)
    assert once.code == 0, once.said
    assert once.output == again.output
    assert "Secret" not in {each["kind"] for each in once.objects}


def test_an_install_makes_secrets_and_keeps_those_that_are_there(
    helm: Helm, api: StandIn, reached: tuple[str, ...]
) -> None:
    owner = {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": RELEASE,
            "meta.helm.sh/release-namespace": NAMESPACE,
        },
    }
    kept = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{RELEASE}-redis", "namespace": NAMESPACE, **owner},
        "data": {"password": "d29yZA=="},
    }
    api.answers[f"/api/v1/namespaces/{NAMESPACE}/secrets/{RELEASE}-redis"] = Answer(kept)
    found = helm.run("install", *reached)
    assert found.code == 0, found.said
    assert found.one("Secret", f"{RELEASE}-redis")["stringData"]["password"] == "word"
    assert len(found.one("Secret", f"{RELEASE}-keys")["stringData"]["key"]) > 40


def deployment(name: str, replicas: int, managers: dict[str, tuple[str, bool]]) -> dict[str, Any]:
    """As the API server has it; `managers`: how each changed it, and whether it set replicas."""
    fields = [
        {
            "manager": manager,
            "operation": operation,
            "fieldsV1": {"f:spec": {"f:replicas": {}} if owns else {"f:selector": {}}},
        }
        for manager, (operation, owns) in managers.items()
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "managedFields": fields,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": RELEASE,
                "meta.helm.sh/release-namespace": NAMESPACE,
            },
        },
        "spec": {"replicas": replicas},
    }


HISTORIES: list[tuple[dict[str, tuple[str, bool]], int | None]] = [
    ({"helm": ("Apply", True)}, 3),
    ({"helm": ("Apply", True), "kubectl": ("Update", True)}, None),
    ({"helm": ("Apply", False), "kube-controller-manager": ("Update", True)}, None),
    ({"helm": ("Update", True)}, 3),
    ({"helm": ("Update", False), "kube-controller-manager": ("Update", True)}, 3),
]
"""Who has set what of a Deployment with three replicas, and what is written then."""


@pytest.mark.parametrize(("managers", "written"), HISTORIES, ids=[str(one) for one, _ in HISTORIES])
def test_replicas_that_are_there_are_neither_dropped_nor_taken_from_who_scales(
    helm: Helm,
    api: StandIn,
    reached: tuple[str, ...],
    managers: dict[str, tuple[str, bool]],
    written: int | None,
) -> None:
    """Where autoscaling is on, as by default for the gateway, and where `replicas` is null."""
    api.answers[GATEWAY] = Answer(deployment(f"{RELEASE}-gateway", 3, managers))
    api.answers[EDGE] = Answer(deployment(f"{RELEASE}-edge", 3, managers))
    found = helm.run("install", *reached, values={"pools": {"edge": {"replicas": None}}})
    assert found.code == 0, found.said
    for name in ("gateway", "edge"):
        spec = found.one("Deployment", f"{RELEASE}-{name}")["spec"]
        assert spec.get("replicas") == written, name


def test_replicas_that_are_null_are_left_out_of_a_first_install(helm: Helm) -> None:
    null = {
        "pools": {"edge": {"replicas": None}},
        "gateway": {"replicas": None, "autoscaling": {"enabled": False}},
    }
    found = helm.run("template", *THROWAWAY, values=null)
    assert found.code == 0, found.said
    for name, replicas in (("gateway", None), ("edge", None), ("cloud", 1)):
        spec = found.one("Deployment", f"{RELEASE}-{name}")["spec"]
        assert spec.get("replicas") == replicas


def test_the_policy_names_the_api_server_as_the_cluster_does(
    helm: Helm, api: StandIn, reached: tuple[str, ...]
) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIPs": ["10.96.0.1"], "ports": [{"port": 443}]},
    }
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSliceList",
        "metadata": {},
        "items": [
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
                "ports": [{"port": port}],
                "endpoints": [{"addresses": [address]}],
            }
            for name, port, address in (("kubernetes", 16443, "192.0.2.7"), ("x", 1, "192.0.2.8"))
        ],
    }
    api.answers["/api/v1/namespaces/default/services/kubernetes"] = Answer(service)
    api.answers["/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"] = Answer(slices)
    values = {"gateway": {"networkPolicy": {"apiServer": {"lookup": True}}}}
    found = helm.run("install", *reached, values=values)
    assert found.code == 0, found.said
    policy = found.one("NetworkPolicy", f"{RELEASE}-gateway")
    (rule,) = [one for one in policy["spec"]["egress"] if "ipBlock" in str(one)]
    assert {port["port"] for port in rule["ports"]} == {443, 16443}
    blocks = {peer["ipBlock"]["cidr"] for peer in rule["to"]}
    assert blocks == {"10.96.0.1/32", "192.0.2.7/32"}


@pytest.mark.parametrize("value", ["gateway.lifecycle", "redis", "gateway.probes.liveness"])
def test_null_on_the_command_line_is_off_or_a_sentence(helm: Helm, value: str) -> None:
    found = helm.run("template", *THROWAWAY, "--set", f"{value}=null")
    assert "nil pointer" not in found.said
    assert found.code == 0 or "there must be one" in found.said, found.said


def test_the_manifests_are_plain_yaml(helm: Helm) -> None:
    found = helm.run("template", *THROWAWAY)
    assert len(list(yaml.safe_load_all(found.output))) > 20
