"""Releases beside one another in a namespace keep to themselves; a pool joins one by its name."""

from typing import Any

import pytest
import yaml

from k8s.preflight.rendering import Object
from tests.charts.helm import Rendering, render
from tests.charts.network.policies import allowed
from tests.charts.pods import Pod, pods

pytestmark = pytest.mark.helm
HTTP, DRAFTS = 8000, 8001
ANY_RELEASE = {"gateway": {"discovery": {"selector": {"tierflow.dev/gateway": None}}}}


def finds(gateway: Rendering, pool: Rendering) -> set[str]:
    """The Services of `pool` whose slices the gateway of `gateway` selects."""
    (config,) = [
        each["data"]["gateway.yaml"]
        for each in gateway.of_kind("ConfigMap")
        if "gateway.yaml" in each["data"]
    ]
    selector = yaml.safe_load(config)["discovery"]["selector"]
    labelled = {each["metadata"]["name"]: _labels(each) for each in pool.of_kind("Service")}
    return {
        name
        for name, labels in labelled.items()
        if selector.items() <= labels.items() and "tierflow.dev/pool" in labels
    }


def reaches(gateway: Rendering, pool: Rendering) -> set[int]:
    """The ports on which the gateway reaches the engines, with the policies of both in force."""
    policies = [*gateway.of_kind("NetworkPolicy"), *pool.of_kind("NetworkPolicy")]
    return {
        port
        for source in _component(gateway, "gateway")
        for target in _component(pool, "engine")
        for port in (HTTP, DRAFTS)
        if allowed(policies, source, target, port)
    }


def alone(**values: Any) -> Rendering:
    return render({"tier": "edge"} | values, chart="model-pool", release="more")


def _labels(each: Object) -> dict[str, str]:
    return dict(each["metadata"]["labels"])


def _component(rendering: Rendering, component: str) -> list[Pod]:
    return [pod for pod in pods(rendering) if pod.component == component]


def test_a_gateway_neither_finds_nor_reaches_the_pools_of_another_release() -> None:
    first, second = render(release="first"), render(release="second")
    assert finds(first, first) == {"first-edge", "first-cloud"}
    assert reaches(first, first) == {HTTP, DRAFTS}
    assert finds(first, second) == set()
    assert reaches(first, second) == set()


def test_a_pool_that_is_installed_alone_joins_the_release_that_it_names() -> None:
    first, second = render(release="first"), render(release="second")
    joined = alone(gatewayRelease="first")
    assert (finds(first, joined), reaches(first, joined)) == ({"more"}, {HTTP, DRAFTS})
    assert (finds(second, joined), reaches(second, joined)) == (set(), set())


def test_a_pool_that_names_no_release_is_found_by_gateways_that_select_by_none() -> None:
    pool = alone()
    for gateway in (render(chart="gateway", release="near"), render(ANY_RELEASE)):
        assert (finds(gateway, pool), reaches(gateway, pool)) == ({"more"}, {HTTP, DRAFTS})
    assert finds(render(), pool) == set()


def test_pools_of_a_release_without_a_gateway_join_that_of_another() -> None:
    values = {"gateway": {"enabled": False}, "model-pool": {"gatewayRelease": "first"}}
    first, second = render(release="first"), render(values, release="second")
    assert finds(first, second) == {"second-edge", "second-cloud"}
    assert reaches(first, second) == {HTTP, DRAFTS}
