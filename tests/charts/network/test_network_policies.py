"""Connections that the policies let through are those that are needed, and no others."""

import dataclasses

import pytest

from tests.charts.cases import every_rendering, rendered
from tests.charts.helm import NAMESPACE, Rendering, render
from tests.charts.network.policies import Elsewhere, Place, allowed
from tests.charts.pods import Pod, pods

pytestmark = pytest.mark.helm
ELSEWHERE = Elsewhere()
DNS, HTTPS, API_SERVER, HTTP, DRAFTS, REDIS = 53, 443, 6443, 8000, 8001, 6379
GATEWAY, OPERATIONS = 8080, 8081
PORTS = (DNS, 80, HTTPS, API_SERVER, HTTP, DRAFTS, GATEWAY, OPERATIONS, REDIS, 9999)


def by_name(rendering: Rendering) -> dict[str, Pod]:
    """`edge`, `gateway`, … without the release's name."""
    found = pods(rendering)
    return {pod.owner.partition("/tierflow-")[2].removeprefix("gateway-"): pod for pod in found}


def flows(rendering: Rendering, source: Place, target: Place) -> set[int]:
    """The TCP ports that `source` reaches at `target`."""
    policies = list(rendering.of_kind("NetworkPolicy"))
    return {port for port in PORTS if allowed(policies, source, target, port)}


def test_by_default_exactly_the_needed_connections_pass() -> None:
    found = rendered("defaults")
    parts = by_name(found)
    assert set(parts) == {"edge", "cloud", "gateway", "redis", "test"}
    needed = {
        ("gateway", "edge"): {HTTP, DRAFTS},
        ("gateway", "cloud"): {HTTP, DRAFTS},
        ("gateway", "redis"): {REDIS},
        ("test", "gateway"): {GATEWAY},
    }
    passing = {
        (source, target): ports
        for source in parts
        for target in parts
        if source != target and (ports := flows(found, parts[source], parts[target]))
    }
    assert passing == needed


def test_engines_and_redis_do_not_talk_to_their_own_kind() -> None:
    found = rendered("defaults")
    parts = by_name(found)
    for name in ("edge", "cloud", "redis"):
        twin = dataclasses.replace(parts[name], owner=f"{name} again")
        assert flows(found, parts[name], twin) == set()


def test_from_outside_only_the_gateway_answers_and_only_on_its_port() -> None:
    found = rendered("defaults")
    reached = {name: flows(found, ELSEWHERE, part) for name, part in by_name(found).items()}
    assert reached == {
        "gateway": {GATEWAY},
        "edge": set(),
        "cloud": set(),
        "redis": set(),
        "test": set(),
    }


def test_only_the_gateway_and_the_test_reach_out_and_only_for_names_and_the_api_server() -> None:
    found = rendered("defaults")
    reached = {name: flows(found, part, ELSEWHERE) for name, part in by_name(found).items()}
    assert reached == {
        "gateway": {DNS, HTTPS, API_SERVER},
        "test": {DNS},
        "edge": set(),
        "cloud": set(),
        "redis": set(),
    }


def test_names_are_asked_for_over_udp() -> None:
    found = rendered("defaults")
    policies = list(found.of_kind("NetworkPolicy"))
    parts = by_name(found)
    asking = {
        name for name, part in parts.items() if allowed(policies, part, ELSEWHERE, DNS, "UDP")
    }
    assert asking == {"gateway", "test"}


@pytest.mark.parametrize("name", ["adapters", "deploy/huggingface", "several nodes"])
def test_engines_that_download_reach_the_hub_and_nothing_more(name: str) -> None:
    found = rendered(name)
    for pod in pods(found):
        downloads = any(each["name"] == "download" for each in pod.spec.get("initContainers", ()))
        if pod.component == "engine":
            assert flows(found, pod, ELSEWHERE) == ({DNS, HTTPS} if downloads else set()), pod.owner


def test_nodes_of_one_engine_talk_among_themselves_and_its_pool_to_no_other() -> None:
    found = rendered("several nodes")
    leader, worker = [pod for pod in pods(found) if "LeaderWorkerSet" in pod.owner]
    assert flows(found, leader, worker) == flows(found, worker, leader) == set(PORTS)
    (edge,) = [pod for pod in pods(found) if pod.owner == "Deployment/tierflow-edge"]
    assert HTTP not in flows(found, worker, edge)
    assert flows(found, edge, worker) == set()


def test_a_gateway_of_another_namespace_does_not_reach_the_engines() -> None:
    found = rendered("defaults")
    parts = by_name(found)
    stranger = dataclasses.replace(parts["gateway"], namespace="other")
    assert flows(found, stranger, parts["edge"]) == set()
    assert flows(found, stranger, parts["redis"]) == set()


def test_a_gateway_reaches_the_namespaces_that_it_discovers_in() -> None:
    found = render({"gateway": {"discovery": {"namespaces": ["far"]}}})
    parts = by_name(found)
    far = dataclasses.replace(parts["edge"], namespace="far")
    farther = dataclasses.replace(parts["edge"], namespace="farther")
    assert flows(found, parts["gateway"], far) >= {HTTP, DRAFTS}
    assert not flows(found, parts["gateway"], farther) & {HTTP, DRAFTS}
    assert {role["metadata"]["namespace"] for role in found.of_kind("Role")} == {NAMESPACE, "far"}


def test_a_closed_gateway_lets_in_those_that_are_named_and_its_test() -> None:
    found = render(
        {
            "gateway": {
                "networkPolicy": {
                    "from": [{"podSelector": {"matchLabels": {"app": "proxy"}}}],
                    "operationsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
                }
            }
        }
    )
    parts = by_name(found)
    proxy = dataclasses.replace(parts["edge"], labels={"app": "proxy"})
    prometheus = dataclasses.replace(parts["edge"], labels={"app": "prometheus"})
    assert flows(found, proxy, parts["gateway"]) == {GATEWAY}
    assert flows(found, prometheus, parts["gateway"]) == {OPERATIONS}
    assert flows(found, ELSEWHERE, parts["gateway"]) == set()
    assert flows(found, parts["test"], parts["gateway"]) == {GATEWAY}


def test_operators_of_the_cluster_reach_their_port_and_nobody_outside_does() -> None:
    found = rendered("defaults")
    parts = by_name(found)
    pod = dataclasses.replace(parts["edge"], labels={"app": "any"})
    assert OPERATIONS in flows(found, pod, parts["gateway"])
    assert OPERATIONS not in flows(found, ELSEWHERE, parts["gateway"])


def test_listed_endpoints_open_their_ports() -> None:
    pool = {"tier": "cloud", "endpoints": ["http://engines.example.org:9999"]}
    found = render({"pools": {"cloud": None}, "gateway": {"pools": {"cloud": pool}}})
    assert 9999 in flows(found, by_name(found)["gateway"], ELSEWHERE)


@every_rendering
def test_a_pool_is_reached_by_its_gateway_whatever_is_switched_on(name: str) -> None:
    found = rendered(name)
    gateways = [pod for pod in pods(found) if pod.component == "gateway"]
    for engine in pods(found):
        if engine.component != "engine" or engine.owner.endswith("worker"):
            continue
        for gateway in gateways:
            assert set(engine.ports.values()) <= flows(found, gateway, engine)


def test_a_gateway_without_its_policy_is_open_and_the_others_are_as_before() -> None:
    found = render({"gateway": {"networkPolicy": {"enabled": False}}})
    parts = by_name(found)
    assert flows(found, ELSEWHERE, parts["gateway"]) == set(PORTS)
    assert flows(found, parts["gateway"], ELSEWHERE) == set(PORTS)
    assert flows(found, parts["test"], parts["gateway"]) == set(PORTS)
    assert flows(found, parts["gateway"], parts["edge"]) == {HTTP, DRAFTS}
    assert flows(found, parts["gateway"], parts["redis"]) == {REDIS}
    for name in ("edge", "cloud", "redis"):
        assert flows(found, ELSEWHERE, parts[name]) == set()
        assert flows(found, parts[name], ELSEWHERE) == set()


OFF = {"networkPolicy": {"enabled": False}}


@pytest.mark.parametrize(
    ("values", "opened"),
    [
        ({"model-pool": OFF}, {"edge", "cloud"}),
        ({"pools": {"edge": OFF}}, {"edge"}),
        ({"model-pool": OFF, "pools": {"edge": {"networkPolicy": {"enabled": True}}}}, {"cloud"}),
    ],
)
def test_pools_without_their_policy_are_open_and_the_others_are_as_before(
    values: dict[str, object], opened: set[str]
) -> None:
    found = render(values)
    parts = by_name(found)
    for name in ("edge", "cloud"):
        everything = set(PORTS) if name in opened else set()
        assert flows(found, ELSEWHERE, parts[name]) == everything
        assert flows(found, parts[name], ELSEWHERE) == everything
        assert flows(found, parts["gateway"], parts[name]) >= {HTTP, DRAFTS}
    assert flows(found, ELSEWHERE, parts["gateway"]) == {GATEWAY}
    assert flows(found, ELSEWHERE, parts["redis"]) == set()


def test_without_policies_nothing_is_forbidden_and_none_is_made() -> None:
    off = {"networkPolicy": {"enabled": False}}
    found = render(off | {"gateway": off, "model-pool": off})
    assert not list(found.of_kind("NetworkPolicy"))
