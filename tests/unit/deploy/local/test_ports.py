"""Ports: held against other instances while they start, and known to be a part's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from deploy.local.instance import Leader
from deploy.local.ports import PortHeld, hold_ports, listens

LISTENER = """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
time.sleep(600)
"""


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        return number


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is held elsewhere")
def test_a_port_is_held_though_nothing_listens_on_it_yet(port: int) -> None:
    with hold_ports({"TIERFLOW_PORT": port}):
        with pytest.raises(PortHeld) as refused, hold_ports({"TIERFLOW_EDGE_PORT": port}):
            pass
        assert str(refused.value) == (
            f"port {port} belongs to another tierflow (process {os.getpid()}) that is up or "
            "starting: choose another with TIERFLOW_EDGE_PORT"
        )
        socket.create_server(("127.0.0.1", port)).close()
    with hold_ports({"TIERFLOW_EDGE_PORT": port}):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is held elsewhere")
def test_whoever_is_refused_one_port_holds_none(port: int) -> None:
    with hold_ports({"TIERFLOW_PORT": port}):
        wanted = {"TIERFLOW_PORT": port, "TIERFLOW_EDGE_PORT": port - 1}
        with pytest.raises(PortHeld), hold_ports(wanted):
            pass
        with hold_ports({"TIERFLOW_EDGE_PORT": port - 1}):
            pass


@pytest.fixture
def part() -> Iterator[tuple[Leader, int]]:
    """A part whose child listens, and the port."""
    command = [
        sys.executable,
        "-c",
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LISTENER!r}])",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        created = psutil.Process(process.pid).create_time()
        yield Leader("edge", process.pid, created), int(process.stdout.readline())
        os.killpg(process.pid, signal.SIGKILL)


def test_a_part_listens_where_one_of_its_processes_does(part: tuple[Leader, int]) -> None:
    leader, port = part
    assert listens(leader, port)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        assert not listens(leader, stranger.getsockname()[1])
