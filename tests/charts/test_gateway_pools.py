"""Pools that the gateway would refuse at its start are refused at the render, and no others."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gateway.errors import ConfigError
from gateway.settings import Settings, shipped_profiles
from tests.charts.helm import Refusal, render

pytestmark = pytest.mark.helm
SECRET = "0123456789abcdef"
FAR: dict[str, Any] = {"tier": "cloud", "endpoints": ["https://engines.example"]}
OWN = {"profiles": {"own": {"filters": ["healthy"], "scorers": [], "picker": "max_score"}}}

REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"far": FAR | {"mailboxes": ["a:1", "b:2"]}},
        "pools.far.mailboxes: 2 for 1 endpoints; give one per endpoint",
    ),
    ({"edge": {"tier": "edge", "mailboxes": ["a:1"]}}, "pools.edge.mailboxes: 1 for 0 endpoints"),
    ({"far": FAR | {"mailboxes": ["nowhere"]}}, "mailboxes"),
    ({"far": FAR | {"mailboxes": ["a:65536"]}}, "mailboxes"),
    ({"far": FAR | {"mailboxes": ["a:0"]}}, "mailboxes"),
    ({"far": FAR | {"probe": "answers"}}, "pools.far.models: list what the pool serves"),
    (
        {"edge": {"tier": "edge", "probe": "answers", "models": ["m"]}},
        "pools.edge.probe: `answers` needs a list of `endpoints`",
    ),
    (
        {"edge": {"tier": "edge", "profile": "nope"}},
        "pools.edge.profile: there is no nope; take one of default, least-loaded, own, spread",
    ),
    ({"edge": {"tier": "edge", "profile": ""}}, "profile"),
    ({"far": FAR | {"endpoints": ["https://e.x", "https://e.x"]}}, "e.x stands in pools.far"),
    ({"far": FAR | {"endpoints": ["https://e.x", "http://e.x/"]}}, "e.x stands in pools.far"),
    ({"far": FAR | {"endpoints": ["https://e.x/a", "https://e.x/a?b=1"]}}, "e.x/a stands in"),
    ({"far": FAR, "near": FAR}, "pools.near.endpoints: engines.example stands in pools.far"),
]
TAKEN: list[dict[str, Any]] = [
    {"far": FAR | {"mailboxes": ["engines.example:8001"]}},
    {"far": FAR | {"mailboxes": ["[::1]:65535"]}},
    {"far": FAR | {"probe": "answers", "models": ["m"]}},
    {"edge": {"tier": "edge", "profile": "own"}, "far": FAR | {"profile": "spread"}},
    {
        "far": FAR
        | {"endpoints": ["https://e.x/a", "https://e.x/b", "https://e.x:8443", "http://f"]}
    },
]


def loaded(wanted: dict[str, Any]) -> None:
    """As the gateway does at its start, with the secrets there. Raises ConfigError."""
    secrets = {
        f"TIERFLOW_GATEWAY_POOLS__{name.upper()}__MAILBOX_SECRET": SECRET
        for name, pool in wanted.items()
        if "mailboxes" in pool
    }
    Settings.parse(yaml.safe_dump({"pools": wanted, "discovery": {}, **OWN}), secrets)


def rendered(wanted: dict[str, Any]) -> dict[str, Any]:
    """The pools of the gateway's configuration as the chart writes it."""
    values = {"pools": wanted, "drafts": {"existingSecret": "drafts"}, "config": OWN}
    objects = render(values, chart="gateway").objects
    (config,) = [each["data"]["gateway.yaml"] for each in objects if each["kind"] == "ConfigMap"]
    pools: dict[str, Any] = yaml.safe_load(config)["pools"]
    return pools


@pytest.mark.parametrize(("wanted", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_pools_that_the_gateway_refuses_do_not_render(wanted: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, ValueError)):
        loaded(wanted)
    with pytest.raises(Refusal) as refused:
        rendered(wanted)
    assert words in str(refused.value)


@pytest.mark.parametrize("wanted", TAKEN, ids=str)
def test_pools_that_the_gateway_takes_render(wanted: dict[str, Any]) -> None:
    loaded(wanted)
    assert rendered(wanted).keys() == wanted.keys()


@pytest.mark.parametrize("profile", sorted(shipped_profiles()))
def test_the_chart_knows_every_profile_inside_the_gateway(profile: str) -> None:
    assert rendered({"edge": {"tier": "edge", "profile": profile}})["edge"]["profile"] == profile


def test_the_chart_knows_no_profile_besides() -> None:
    with pytest.raises(Refusal) as refused:
        render({"pools": {"edge": {"tier": "edge", "profile": "nope"}}}, chart="gateway")
    assert f"take one of {', '.join(sorted(shipped_profiles()))}, or" in str(refused.value)
