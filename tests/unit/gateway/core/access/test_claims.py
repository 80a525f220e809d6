"""A trusted proxy's word for who calls."""

from __future__ import annotations

import ipaddress

import pytest

from gateway.core.access.claims import TrustedProxy
from gateway.core.access.key import Quotas
from gateway.errors import InvalidKey

PROXY = TrustedProxy(
    networks=(ipaddress.ip_network("10.0.3.0/24"), ipaddress.ip_network("fd00::/64")),
    header=b"x-forwarded-user",
    quotas=Quotas(requests_per_min=9),
)
NAMED = [(b"x-forwarded-user", b"ann@example.org")]


@pytest.mark.parametrize("peer", ["10.0.3.7", "::ffff:10.0.3.7", "fd00::1"])
def test_the_proxy_says_who_calls(peer: str) -> None:
    identity = PROXY.identity(peer, NAMED)
    assert identity is not None
    assert (identity.key, identity.quotas.requests_per_min) == ("proxy/ann@example.org", 9)


@pytest.mark.parametrize(
    "peer", ["10.0.4.7", "::ffff:10.0.4.7", "127.0.0.1", "fd01::1", "", "proxy"]
)
def test_nobody_else_is_believed(peer: str) -> None:
    assert PROXY.identity(peer, NAMED) is None


def test_a_proxy_that_names_nobody_leaves_it_to_the_key() -> None:
    assert PROXY.identity("10.0.3.7", [(b"authorization", b"Bearer x")]) is None


@pytest.mark.parametrize("headers", [NAMED * 2, [(b"x-forwarded-user", b" ")]])
def test_two_names_or_an_empty_one_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(InvalidKey):
        PROXY.identity("10.0.3.7", headers)
