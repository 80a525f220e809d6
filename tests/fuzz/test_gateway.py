"""A short part of `make fuzz` on a real gateway, and inputs that it has found."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random

import pytest

from tests.fuzz.callers import fuzz_callers
from tests.fuzz.described import fuzz_described, note_undescribed
from tests.fuzz.findings import Findings
from tests.fuzz.rig import Rig, start_rig
from tests.fuzz.sockets import BINARY, TEXT, fuzz_devices, fuzz_http, handshake, message, requests

pytestmark = pytest.mark.integration
SECONDS = 2.0
EXAMPLES = 2
"""Of each operation that is described."""


Fuzz = Callable[[Rig, float, int, Findings], None]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield start_rig(tmp_path_factory.mktemp("fuzz"), stack)


@pytest.mark.parametrize(
    "fuzz",
    [fuzz_http, fuzz_devices, fuzz_callers],
    ids=lambda fuzz: fuzz.__name__,
)
def test_nothing_breaks_leaks_or_is_answered_as_nobody_described(rig: Rig, fuzz: Fuzz) -> None:
    findings = Findings()
    fuzz(rig, SECONDS, 0, findings)
    note_undescribed(rig, findings)
    assert findings.faults == []
    assert findings.inputs
    assert rig.alive() and rig.complaints() == []


def test_every_operation_answers_as_it_is_described(rig: Rig) -> None:
    findings = Findings()
    fuzz_described(rig, 60, 0, findings, EXAMPLES)
    assert findings.faults == []
    assert findings.inputs["described requests"] > 20
    assert rig.alive() and rig.complaints() == []


def test_texts_that_are_no_utf_8_end_a_devices_connection_without_a_trace(rig: Rig) -> None:
    with socket.create_connection(rig.address, 5) as connection:
        connection.settimeout(5)
        connection.sendall(handshake())
        assert b" 101 " in connection.recv(4096)
        connection.sendall(message(TEXT, b"\x85", Random(0)) * 2 + message(BINARY, b"", Random(0)))
        while connection.recv(4096):
            pass
    assert rig.alive() and rig.complaints() == []


def test_what_follows_a_request_and_is_none_leaves_no_trace(rig: Rig) -> None:
    """The answer is under way, or about to be, when the connection is given up for what follows."""
    whole = requests()[0]
    for pause in (0.0, 0.002, 0.005, 0.01):
        for _ in range(5):
            with socket.create_connection(rig.address, 5) as connection:
                connection.settimeout(5)
                connection.sendall(whole)
                time.sleep(pause)
                connection.sendall(b"\x00 no request at all\r\n\r\n")
                while connection.recv(4096):
                    pass
    assert rig.alive() and rig.complaints() == []
