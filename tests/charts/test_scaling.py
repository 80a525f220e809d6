"""KEDA asks for the requests of this release's gateway, where there is one."""

from typing import Any

import pytest

from tests.charts.helm import NAMESPACE, Refusal, render

pytestmark = pytest.mark.helm
PROMETHEUS = {
    "enabled": True,
    "trigger": "prometheus",
    "prometheus": {"serverAddress": "http://prometheus.example.org:9090"},
}


def trigger(values: dict[str, Any], **place: str) -> dict[str, str]:
    """What its trigger tells KEDA of the one pool that it scales."""
    (scaled,) = render(values, **place).of_kind("ScaledObject")
    (found,) = scaled["spec"]["triggers"]
    metadata: dict[str, str] = found["metadata"]
    return metadata


def test_prometheus_is_asked_for_the_pool_of_this_releases_gateway_alone() -> None:
    values = {"pools": {"edge": {"keda": PROMETHEUS}}}
    labels = f'pool="edge",namespace="{NAMESPACE}",service="mine-gateway-operations"'
    query = trigger(values, release="mine")["query"]
    assert query == f"sum(tierflow_pool_demand{{{labels}}})"
    assert render(release="mine").has("Service", "mine-gateway-operations")


def test_prometheus_is_asked_for_the_namespace_where_the_gateway_is_not_known() -> None:
    query = trigger({"tier": "edge", "keda": PROMETHEUS}, chart="model-pool", release="edge")
    assert query["query"] == f'sum(tierflow_pool_demand{{pool="edge",namespace="{NAMESPACE}"}})'


def test_a_query_of_ones_own_is_asked_as_it_is() -> None:
    keda = PROMETHEUS | {"prometheus": {"serverAddress": "http://x", "query": "sum(mine)"}}
    assert trigger({"pools": {"edge": {"keda": keda}}})["query"] == "sum(mine)"


def test_a_pool_alone_scales_only_by_a_gateway_that_is_named() -> None:
    alone: dict[str, Any] = {"tier": "edge", "keda": {"enabled": True}}
    with pytest.raises(Refusal, match=r"set keda\.gatewayUrl"):
        render(alone, chart="model-pool")
    url = "http://gateway.example.org:8080/metrics"
    alone["keda"]["gatewayUrl"] = url
    assert trigger(alone, chart="model-pool")["url"] == url
