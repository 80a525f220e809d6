"""Addresses of gateways and device agents, as a command line or a variable gives them."""

from __future__ import annotations

from urllib.parse import urlsplit

EXPECTED = "expected http://host:port or https://host"


def url_problem(url: str) -> str:
    """What is wrong with an address, empty where it is one. The address stays out of the sentence,
    as it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"{EXPECTED}, with a port of 1 to 65535"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return EXPECTED
    return f"{EXPECTED}, with a port of 1 to 65535" if port == 0 else ""
