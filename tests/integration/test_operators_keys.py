"""Operators make, rotate and revoke callers' keys while the gateway runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.admin.__main__ import main
from tests.deployment import gateway_config
from tests.integration.fleet import engine
from tests.integration.gateway_replicas import Replicas, replicas
from tests.redis_server import needs_redis
from tests.servers import Server, eventually, start_gateway

pytestmark = pytest.mark.integration
TOKEN = "operators-token-0001"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = engine("rill-edge", tmp_path_factory.mktemp("edge"))
    yield server
    server.stop()


def config(edge: Server, **more: Any) -> dict[str, Any]:
    pools = {"edge": {"tier": "edge", "endpoints": [edge.url]}}
    return gateway_config([], [], admin={"token": TOKEN}, **more) | {"pools": pools}


def admin(gateway: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command within this process, which has imported already what it needs."""
    command = ["gateway.admin", "keys", *arguments, "--url", gateway.url]
    with ExitStack() as stack:
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        monkeypatch.setenv("TIERFLOW_ADMIN_TOKEN", TOKEN)
        monkeypatch.setattr(sys, "argv", command)
        output = stack.enter_context(redirect_stdout(StringIO()))
        errors = stack.enter_context(redirect_stderr(StringIO()))
        code = main()
    return subprocess.CompletedProcess(command, code, output.getvalue(), errors.getvalue())


def typed(gateway: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as an operator types it."""
    return subprocess.run(
        [sys.executable, "-m", "gateway.admin", "keys", *arguments, "--url", gateway.url],
        env={**os.environ, "TIERFLOW_ADMIN_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=30,
    )


def status(gateway: Server, key: str = "") -> int:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.post(
        gateway.url + "/v1/completions",
        json={"model": "rill-edge", "prompt": "1", "max_tokens": 1},
        headers=headers,
    ).status_code


def test_a_key_from_its_making_to_its_end(edge: Server, tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    gateway = start_gateway(config(edge, keys={"file": str(file)}), tmp_path)
    assert status(gateway) == 401
    made = typed(gateway, "make", "team-a", "--model", "rill-edge", "--requests-per-min", "600")
    key = made.stdout.strip()
    assert (made.returncode, status(gateway, key), status(gateway)) == (0, 200, 401)
    assert admin(gateway, "make", "team-a").returncode == 1
    shown = json.loads(admin(gateway, "show", "team-a", "--json").stdout)
    assert (shown["models"], shown["requests_per_min"], shown["source"]) == (
        ["rill-edge"],
        600,
        "operator",
    )
    listed = admin(gateway, "list").stdout
    assert "team-a" in listed and "600" in listed
    second = admin(gateway, "rotate", "team-a", "--grace-s", "60").stdout.strip()
    assert (status(gateway, key), status(gateway, second)) == (200, 200)
    for hidden in (key, second):
        assert hidden not in listed + json.dumps(shown) + file.read_text() + gateway.output()
    gateway.stop()
    gateway = start_gateway(config(edge, keys={"file": str(file)}), tmp_path)
    assert status(gateway, second) == 200
    assert admin(gateway, "revoke", "team-a").stdout.strip() == "team-a is revoked"
    assert (status(gateway, second), status(gateway)) == (401, 401)
    file.write_text("keys: {")
    eventually(
        lambda: "keys-not-read" in httpx.get(gateway.url + "/ready").json()["conditions"],
        "the condition",
    )
    gateway.stop()


def test_a_name_that_is_made_anew_has_no_stream_of_the_one_before(
    edge: Server, tmp_path: Path
) -> None:
    gateway = start_gateway(config(edge, keys={"file": str(tmp_path / "keys.yaml")}), tmp_path)

    def caller(key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}

    first = admin(gateway, "make", "team-a").stdout.strip()
    body = {"model": "rill-edge", "prompt": "1", "max_tokens": 1, "stream": True}
    begun = httpx.post(
        gateway.url + "/v1/completions",
        json=body,
        headers=caller(first) | {"x-tierflow-resumable": "30"},
    )
    stream = f"{gateway.url}/v1/streams/{begun.headers['x-tierflow-stream']}"
    second = admin(gateway, "rotate", "team-a").stdout.strip()
    assert httpx.get(stream, headers=caller(second)).content == begun.content
    admin(gateway, "revoke", "team-a")
    third = admin(gateway, "make", "team-a").stdout.strip()
    assert httpx.get(stream, headers=caller(third)).status_code == 404
    gateway.stop()


def test_only_operators_make_keys(edge: Server, tmp_path: Path) -> None:
    gateway = start_gateway(config(edge), tmp_path)
    path = gateway.url + "/v1/admin/keys"
    assert httpx.post(path, json={"name": "x"}).status_code == 401
    refused = typed(gateway, "make", "team-a")
    assert refused.returncode == 1 and "keys.file" in refused.stderr
    gateway.stop()


@pytest.fixture
def two(edge: Server, tmp_path: Path) -> Iterator[Replicas]:
    with replicas(tmp_path, *[config(edge)] * 2) as found:
        yield found


@pytest.mark.redis
@needs_redis
def test_both_replicas_know_a_key_and_that_it_is_revoked(two: Replicas) -> None:
    here, other = two.each
    key = admin(here, "make", "team-a").stdout.strip()
    eventually(lambda: status(other, key) == 200, "the other replica knows the key", 5)
    eventually(lambda: status(other) == 401, "the other replica asks for a key", 5)
    admin(other, "revoke", "team-a")
    assert status(other, key) == 401
    eventually(lambda: status(here, key) == 401, "the key is refused everywhere", 5)


@pytest.mark.redis
@needs_redis
def test_both_replicas_share_a_keys_quota(two: Replicas) -> None:
    here, other = two.each
    key = admin(here, "make", "team-a", "--requests-per-min", "6").stdout.strip()
    eventually(lambda: status(other, key) == 200, "the other replica knows the key", 5)
    assert [status(here, key) for _ in range(4)] == [200] * 4
    # Of its own requests the other one knows one alone; the others are told it.
    eventually(lambda: left(other, key) <= 1, "the other replica counts them too", 5)
    seen = [status(gateway, key) for gateway in (here, other) for _ in range(4)]
    assert seen.count(200) <= 4 and 429 in seen
    assert two.metric("tierflow_key_refusals_total", key="team-a") == seen.count(429)


def left(gateway: Server, key: str) -> int:
    listed = httpx.get(gateway.url + "/v1/models", headers={"authorization": f"Bearer {key}"})
    return int(listed.headers["x-ratelimit-remaining-requests"])


def operations(gateway: Server) -> Counter[str]:
    """Those on the shared state so far, by their name."""
    found: Counter[str] = Counter()
    for line in httpx.get(gateway.url + "/metrics").text.splitlines():
        if named := re.match(r'tierflow_state_operations_total{operation="(\w+)"', line):
            found[named[1]] += int(float(line.rpartition(" ")[2]))
    return found


@pytest.mark.redis
@needs_redis
def test_requests_make_no_round_trip_of_their_own_to_redis(two: Replicas) -> None:
    here, _ = two.each
    quotas = ("--requests-per-min", "100000", "--tokens-per-min", "10000000", "--in-flight", "9")
    key = admin(here, "make", "team-a", *quotas).stdout.strip()
    asked, before = 300, operations(here)
    with httpx.Client(headers={"authorization": f"Bearer {key}"}) as client:
        body = {"model": "rill-edge", "prompt": "1", "max_tokens": 1}
        for _ in range(asked):
            assert client.post(here.url + "/v1/completions", json=body).status_code == 200
    made = operations(here) - before
    assert made["draw"] > 0
    # In the background each is done a few times in a second at most.
    assert not [name for name, number in made.items() if number >= asked]
