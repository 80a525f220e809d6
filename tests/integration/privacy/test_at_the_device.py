"""What leaves a device, by the class of the request: the agent before a real gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.device_link import speculation as wire
from tests.integration.agent import ASKED, FamilyEngine, World, config_for, start_agent
from tests.integration.device import connected
from tests.servers import eventually, start_gateway

pytestmark = pytest.mark.integration
N: dict[str, Any] = {"n": 2, "temperature": 1.0}
"""What only a server understands."""


@contextmanager
def world(folder: Path, settings: dict[str, Any], *flags: str) -> Iterator[World]:
    """An engine in the cloud, a gateway with these settings, and an agent with these flags."""
    engine = FamilyEngine()
    engine.start()
    gateway = start_gateway(config_for(engine) | settings, folder)
    agent = start_agent(gateway.url, folder, *flags)
    here = World(engine, gateway, agent)
    try:
        eventually(here.linked, "the agent sees the cloud")
        yield here
    finally:
        here.http.close()
        for server in (agent, gateway):
            server.stop()
        engine.stop()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """No server may see what is not public."""
    folder = tmp_path_factory.mktemp("strict")
    with world(folder, {"privacy": {"owner_tiers": []}}, "--least-privacy", "owner") as made:
        yield made


@pytest.fixture(scope="module")
def open_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The cloud may see requests of the class owner."""
    folder = tmp_path_factory.mktemp("open")
    with world(folder, {"privacy": {"owner_tiers": ["cloud"]}}) as made:
        yield made


def sent(here: World) -> float:
    """Requests of any kind that the gateway has seen."""
    sessions = here.gateway.metric("tierflow_speculation_sessions_total")
    return sessions + here.gateway.metric("tierflow_requests_total") + len(here.engine.bodies)


@pytest.mark.parametrize("privacy", ["owner", "private"])
@pytest.mark.parametrize("model", ["tierflow-auto", "tierflow-on-device"])
def test_what_servers_may_not_see_the_device_answers_alone(
    strict: World, model: str, privacy: str
) -> None:
    before = sent(strict)
    answer = strict.ask({**ASKED, "model": model}, x_tierflow_privacy=privacy)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tierflow-verified-tokens"] == "0"
    assert sent(strict) == before


@pytest.mark.parametrize("model", ["tierflow-device-cloud", "rill-cloud"])
@pytest.mark.parametrize("fields", [{}, N])
def test_a_server_that_may_not_see_it_is_refused_on_the_device(
    strict: World, model: str, fields: dict[str, Any]
) -> None:
    before = sent(strict)
    answer = strict.ask({**ASKED, **fields, "model": model}, x_tierflow_privacy="private")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "privacy_class")
    assert sent(strict) == before


def test_the_devices_own_least_class_holds_where_a_request_names_none_or_a_more_open_one(
    strict: World,
) -> None:
    for headers in ({}, {"x_tierflow_privacy": "public"}):
        answer = strict.ask({**ASKED, "model": "tierflow-device-cloud"}, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "privacy_class")


def test_what_only_servers_understand_stays_here_too(strict: World) -> None:
    before = sent(strict)
    answer = strict.ask({**ASKED, **N, "model": "tierflow-auto"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "privacy_class")
    assert sent(strict) == before


def test_an_allowed_server_verifies_and_is_told_the_class(open_cloud: World) -> None:
    answer = open_cloud.ask({**ASKED, "model": "tierflow-auto"}, x_tierflow_privacy="owner")
    assert answer.status_code == 200
    assert int(answer.headers["x-tierflow-verified-tokens"]) > 0
    private = open_cloud.ask({**ASKED, "model": "tierflow-auto"}, x_tierflow_privacy="private")
    assert private.headers["x-tierflow-verified-tokens"] == "0"


def test_a_class_that_does_not_exist_is_refused(open_cloud: World) -> None:
    answer = open_cloud.ask({**ASKED, "model": "tierflow-auto"}, x_tierflow_privacy="secret")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "x-tierflow-privacy"


@pytest.mark.anyio
async def test_a_gateway_opens_no_session_at_a_tier_that_may_not_see_it(open_cloud: World) -> None:
    """Also of an agent that asks all the same."""
    before = len(open_cloud.engine.bodies)
    tokenizer = open_cloud.engine.text.fingerprint
    async with connected(open_cloud.gateway.url, "token-of-the-watch") as device:
        await device.put(
            wire.Open(s=1, tier="cloud", tokenizer=tokenizer, prompt=[5, 6], privacy="private")
        )
        error = await device.until(wire.Error)
    assert (error.s, error.code) == (1, "privacy_class")
    assert len(open_cloud.engine.bodies) == before
