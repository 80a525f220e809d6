from __future__ import annotations

from typing import Any

import pytest

from gateway.core.routing.empty_pools import empty_pools, names
from gateway.core.tier import Tier
from gateway.core.types import EndpointState, PoolState
from tests.unit.gateway.build import FAMILY, request, state


def pool(name: str, *models: str, **fields: Any) -> PoolState:
    return PoolState(name=name, tier=Tier(name), models=frozenset(models), **fields)


EDGE, CLOUD = pool("edge", "rill-edge"), pool("cloud", "rill-cloud")


def found(model: str, *pools: PoolState, states: Any = (), **demands: Any) -> list[str]:
    asked = request(model, **demands)
    return [p.name for p in empty_pools(asked, pools, states, FAMILY, 0.0)]


def down(built: EndpointState) -> EndpointState:
    built.healthy = False
    return built


def test_a_pool_with_a_healthy_endpoint_is_not_empty_and_one_with_none_is() -> None:
    states = [state("edge:1", "edge"), down(state("cloud:1", "cloud"))]
    assert found("tierflow-auto", EDGE, CLOUD, states=states) == ["cloud"]


def test_a_real_model_waits_for_its_own_pool_alone() -> None:
    assert found("rill-cloud", EDGE, CLOUD) == ["cloud"]
    assert found("rill-moon", EDGE, CLOUD) == []


def test_a_pool_of_which_nothing_is_known_may_serve_anything() -> None:
    assert found("rill-moon", EDGE, pool("cloud")) == ["cloud"]


def test_the_label_tells_the_model_before_any_endpoint_was_seen() -> None:
    labelled = pool("cloud", labels=frozenset({"org-Model-7B"}))
    assert found("org/Model-7B", labelled) == ["cloud"]
    assert found("another", labelled) == []


@pytest.mark.parametrize(
    ("model", "order"),
    [
        ("tierflow-edge", ["edge", "cloud"]),
        ("tierflow-cloud", ["cloud", "edge"]),
        ("tierflow-auto", ["edge", "cloud"]),
    ],
)
def test_virtual_models_wait_in_the_order_of_their_policy(model: str, order: list[str]) -> None:
    assert found(model, CLOUD, EDGE) == order


def test_demands_hold_for_pools_without_endpoints_too() -> None:
    assert found("tierflow-auto", EDGE, CLOUD, max_tier=Tier.EDGE) == ["edge"]
    assert found("tierflow-auto", EDGE, CLOUD, min_quality="rill-cloud") == ["cloud"]
    assert found("tierflow-auto", EDGE, CLOUD, min_quality="unknown") == []


def test_a_label_that_was_cut_short_is_still_the_models_name() -> None:
    long = "organisation/" + "a-very-long-model-name-" * 4
    label = long.replace("/", "-")[:63].rstrip("-")
    assert names(label, long)
    assert not names("a-very", "a-very-long-name")
