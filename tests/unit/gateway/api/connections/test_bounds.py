"""How many connections there may be, and of whom."""

from __future__ import annotations

import ipaddress
import resource

import pytest

from gateway.api.connections.bounds import (
    PER_CONNECTION,
    RESERVE,
    ConnectionLimits,
    Connections,
    room_for_connections,
)
from gateway.protocol.browser_guard import Readers


def room(most: int, per_address: int, *exempt: str) -> Connections:
    limits = ConnectionLimits(
        max_connections=most,
        max_per_address=per_address,
        exempt=tuple(ipaddress.ip_network(network) for network in exempt),
        headers_s=1.0,
        body_s=1.0,
        body_rate=1.0,
        stalled_s=1.0,
        keep_alive_s=1.0,
        max_header_bytes=1024,
        max_headers=16,
        max_target_bytes=256,
    )
    return Connections(limits, lambda reason: None, Readers(()))


def test_an_address_has_its_share_and_gets_it_back() -> None:
    some = room(10, 2)
    assert [some.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert some.enter("192.0.2.2")
    some.leave("192.0.2.1")
    assert some.enter("192.0.2.1")
    assert some.open == 3


def test_all_together_have_a_bound_also_those_that_are_exempt() -> None:
    some = room(3, 1, "10.0.0.0/8", "::1/128")
    assert [some.enter("10.1.2.3") for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("address", ["::ffff:10.1.2.3", "::1"])
def test_a_proxy_is_known_by_either_kind_of_address(address: str) -> None:
    some = room(9, 1, "10.0.0.0/8", "::1/128")
    assert [some.enter(address) for _ in range(3)] == [True, True, True]


def test_descriptors_bound_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (1024, 2000)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, both: asked.append(both))
    assert room_for_connections(16_384) == (2000 - RESERVE) // PER_CONNECTION
    assert asked == [(2000, 2000)]
    assert room_for_connections(100) == 100
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert room_for_connections(16_384) == 16_384
