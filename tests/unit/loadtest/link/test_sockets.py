"""The emulator as a process of its own, between real sockets."""

import os
import random
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.link.control import Control
from loadtest.measure.processes import Processes, free_port
from tests.servers import eventually

DATA = random.Random(1).randbytes(700_000)


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Link:
    def __init__(self, port: int, control: int) -> None:
        self.port = port
        self.control = Control(control)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as echo:
        echo.daemon_threads = True
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        port, control = free_port(), free_port()
        command = [
            *(sys.executable, "-m", "loadtest.link", "--listen", str(port)),
            *("--to", f"127.0.0.1:{echo.server_address[1]}", "--control", str(control)),
        ]
        with Processes(tmp_path_factory.mktemp("link")) as processes:
            link = processes.start("link", command, cores=os.sched_getaffinity(0), port=port)
            eventually(lambda: b"ready" in link.log.read_bytes(), "the link is ready")
            found = Link(port, control)
            yield found
            found.control.close()
        echo.shutdown()


@pytest.fixture
def link(running: Link) -> Link:
    running.control.ask(delay_ms=0, jitter_ms=0, rate_mb_s=0, stall=None)
    eventually(lambda: _listens(running), "the link takes connections")
    return running


def _listens(link: Link) -> bool:
    try:
        link.connect().close()
    except OSError:
        return False
    return True


def echoed(connection: socket.socket, data: bytes) -> bytes:
    sender = threading.Thread(target=_send, args=(connection, data))
    sender.start()
    found = b""
    while piece := connection.recv(65536):
        found += piece
    sender.join()
    return found


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"delay_ms": 5, "jitter_ms": 5, "rate_mb_s": 20},
        {"delay_ms": 1, "stall": [0.05, 0.02]},
    ],
    ids=["plain", "jitter and rate", "stalls"],
)
def test_data_comes_back_whole_and_the_end_of_it_too(
    link: Link, conditions: dict[str, object]
) -> None:
    link.control.ask(**conditions)
    with link.connect() as connection:
        assert echoed(connection, DATA) == DATA
    eventually(lambda: link.control.ask()[0]["open"] == 0, "the connection is gone at both ends")


def test_a_round_trip_takes_at_least_both_delays(link: Link) -> None:
    with link.connect() as connection:
        link.control.ask(delay_ms=30)
        start = time.monotonic()
        connection.sendall(b"ping")
        assert connection.recv(100) == b"ping"
        assert time.monotonic() - start >= 0.06


def test_a_transfer_takes_at_least_its_bytes_at_the_rate(link: Link) -> None:
    link.control.ask(rate_mb_s=5)
    start = time.monotonic()
    with link.connect() as connection:
        assert echoed(connection, DATA) == DATA
    assert time.monotonic() - start >= len(DATA) / 5e6


def test_a_cut_drops_connections_and_refuses_new_ones_until_it_is_over(link: Link) -> None:
    with link.connect() as connection:
        connection.sendall(b"ping")
        assert connection.recv(100) == b"ping"
        link.control.ask(cut_s=1.5)
        with pytest.raises(ConnectionResetError):
            assert connection.recv(100), "an orderly end is no cut"
    assert not _listens(link)
    eventually(lambda: _listens(link), "the link is back")


def test_a_receiver_that_does_not_read_stops_the_sender(link: Link) -> None:
    with link.connect() as connection:
        connection.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 1 << 27:
                sent += connection.send(b"x" * 65536)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"delay_ms": "5"}, "delay_ms"),
        ({"jitter_ms": 9}, "jitter"),
        ({"rate_mb_s": -1}, "rate"),
        ({"stall": [1]}, "stall"),
        ({"link": 1}, "link"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_by_name(
    link: Link, asked: dict[str, object], named: str
) -> None:
    link.control.ask(delay_ms=3)
    with pytest.raises(ValueError, match=named):
        link.control.ask(**{"rate_mb_s": 7, "delay_ms": 4, **asked})
    (state,) = link.control.ask()
    assert (state["delay_ms"], state["jitter_ms"], state["rate_mb_s"]) == (3, 0, 0)


def test_a_wrong_argument_ends_it_with_a_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtest.link", "--listen", "1", "--to", "nowhere"]
    with Processes(tmp_path) as processes:
        link = processes.start("link", command, cores=os.sched_getaffinity(0))
        assert link.wait(30) == 2
        assert "must be HOST:PORT" in link.log.read_text()
