"""The gateway is told of the Redis that its replicas share, by a Secret."""

from pathlib import Path
from typing import Any

import pytest

from gateway.settings import ENV_PREFIX
from tests.charts.cases import rendered
from tests.charts.helm import Rendering, render
from tests.charts.network.test_network_policies import ELSEWHERE, by_name, flows
from tests.charts.values.test_settings import gateway, load

pytestmark = pytest.mark.helm
VARIABLE = f"{ENV_PREFIX}STATE__REDIS__URL"


def reference(rendering: Rendering) -> dict[str, Any] | None:
    (container,) = gateway(rendering).spec["containers"]
    for variable in container.get("env", ()):
        if variable["name"] == VARIABLE:
            found: dict[str, Any] = variable["valueFrom"]["secretKeyRef"]
            return found
    return None


def test_the_url_comes_from_the_secret_that_is_made_for_redis() -> None:
    for name in ("defaults", "own services"):
        found = reference(rendered(name))
        assert found is not None
        assert found["key"] in rendered(name).one("Secret", found["name"])["stringData"]


def test_without_redis_the_gateway_starts_all_the_same() -> None:
    without = render({"redis": {"enabled": False}})
    found = reference(without)
    assert found is not None and found["optional"] is True
    assert not without.has("Secret", found["name"])
    assert reference(rendered("gateway alone")) is None
    assert reference(rendered("deploy/podman")) is None


def test_a_secret_of_ones_own_is_taken_in_its_place() -> None:
    mine = {"existingSecret": "mine", "ports": [6380]}
    values = {"redis": {"external": {"existingSecret": "mine"}}, "gateway": {"state": mine}}
    found = reference(render(values))
    assert found is not None and (found["name"], found["key"]) == ("mine", "url")


def test_the_gateway_may_reach_a_redis_elsewhere_at_its_port() -> None:
    parts = by_name(rendered("own services"))
    assert 6379 in flows(rendered("own services"), parts["gateway"], ELSEWHERE)
    assert 6379 not in flows(rendered("defaults"), parts["gateway"], ELSEWHERE)


@pytest.mark.parametrize(
    ("values", "replicas"),
    [
        ({}, 4),
        ({"autoscaling": {"enabled": False}, "replicas": 3}, 3),
        ({"keda": {"enabled": True, "maxReplicas": 9}}, 9),
    ],
)
def test_the_gateway_knows_how_many_replicas_there_may_be(
    values: dict[str, Any], replicas: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = load(render({"gateway": values}), tmp_path, monkeypatch).state
    assert state.replicas == replicas
    assert state.redis is not None and state.when_lost == "open"


def test_the_rule_for_a_loss_and_sentinels_can_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(rendered("own services"), tmp_path, monkeypatch).state.when_lost == "closed"
    sentinels = {"redis": {"sentinels": ["sentinel:26379"], "master": "tierflow"}}
    values = {
        "redis": {"enabled": False},
        "gateway": {"state": {"existingSecret": ""}, "config": {"state": sentinels}},
    }
    monkeypatch.delenv(VARIABLE)
    redis = load(render(values), tmp_path, monkeypatch).state.redis
    assert redis is not None and redis.master == "tierflow"
