"""Whether an address is one of some networks: proxies are known so."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Whether the address belongs to one of the networks; one that is no IP address does not. An
    IPv4 address is the same in its IPv6 form, such as ::ffff:10.0.3.7: sockets that listen for both
    show it so."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks)
