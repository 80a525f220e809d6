"""A gateway whose operators have an address of their own."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.servers import Server, eventually, free_port, start_gateway

pytestmark = pytest.mark.integration
POOLS = {"edge": {"tier": "edge", "endpoints": ["http://127.0.0.1:9"]}}


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def gateway(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = {"pools": POOLS, "operations": {"port": port}}
    gateway = start_gateway(config, tmp_path_factory.mktemp("gateway"), ready=False)
    yield gateway
    gateway.stop()


def test_metrics_and_details_are_there_and_nowhere_else(gateway: Server, port: int) -> None:
    inside = f"http://127.0.0.1:{port}"
    eventually(lambda: "endpoints" in httpx.get(f"{inside}/ready").text, "details of /ready")
    assert "tierflow_in_flight_requests" in httpx.get(f"{inside}/metrics").text
    assert httpx.get(f"{gateway.url}/metrics").status_code == 404
    assert httpx.get(f"{gateway.url}/ready").json() == {"ready": False}
    assert httpx.get(f"{gateway.url}/v1/models").status_code == 200
    assert httpx.get(f"{inside}/v1/models").status_code == 404


def test_both_listen_at_the_address_that_was_given_alone(gateway: Server, port: int) -> None:
    pid = gateway.process.pid
    here = {int(gateway.url.rpartition(":")[2]), port}
    assert listening(pid) == {("127.0.0.1", each) for each in here}


def test_it_ends_with_its_signal(tmp_path: Path) -> None:
    gateway = start_gateway({"pools": POOLS, "operations": {"port": 0}}, tmp_path, ready=False)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(10) == -signal.SIGTERM
    assert gateway.logged(event="internal_error") == []


@pytest.mark.parametrize("group", ["listen", "operations"])
def test_an_address_that_is_taken_is_named_by_its_setting(group: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config: dict[str, Any] = {"pools": POOLS, group: {"port": taken.getsockname()[1]}}
        with pytest.raises(
            AssertionError, match=rf"ended with 2: (.|\n)*{group}\.port: 127\.0\.0\.1"
        ):
            start_gateway(config, tmp_path, ready=False)


def listening(pid: int) -> set[tuple[str, int]]:
    """The addresses on which a process listens."""
    return {
        (each.laddr.ip, each.laddr.port)
        for each in psutil.Process(pid).net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }
