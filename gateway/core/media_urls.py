"""Addresses of pictures, sounds and films in a request: an engine fetches what they name, from
where it stands in the operator's own network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

FIELDS = frozenset({"image_url", "video_url", "audio_url", "file_url"})
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_PRIVATE_NAMES = (
    "localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private",
    "arpa", "svc", "test", "invalid", "onion",
)  # fmt: skip
"""Last labels of names that lead to no public host."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class MediaUrl:
    """An address in a request, and the field that it stands in."""

    field: str
    url: str


def media_urls(fields: Mapping[str, Any]) -> list[MediaUrl]:
    """Those of all messages' parts; what is no text is left to the engine."""
    found: list[MediaUrl] = []
    for name in ("messages", "input"):
        messages = fields.get(name)
        if isinstance(messages, list):
            for index, message in enumerate(messages):
                if isinstance(message, dict) and _may_have_some(message):
                    _add_message(found, f"{name}.{index}", message)
    return found


def _may_have_some(message: Mapping[str, Any]) -> bool:
    return isinstance(message.get("content"), list) or not FIELDS.isdisjoint(message)


def _add_message(found: list[MediaUrl], place: str, message: Mapping[str, Any]) -> None:
    _add_part(found, place, message)
    parts = message.get("content")
    if isinstance(parts, list):
        for index, part in enumerate(parts):
            if isinstance(part, dict):
                _add_part(found, f"{place}.content.{index}", part)


def _add_part(found: list[MediaUrl], place: str, part: Mapping[str, Any]) -> None:
    for name in FIELDS & part.keys():
        value = part[name]
        if isinstance(value, dict):
            value = value.get("url")
        if isinstance(value, str):
            found.append(MediaUrl(f"{place}.{name}", value))


def problem_of(url: str, hosts: tuple[str, ...]) -> str:
    """Why an engine must not fetch this; "" where it may. `hosts` are the only ones that may be
    named, and those below them where they begin with a dot; without any, all public ones may.

    A public name that leads to a private address is not known here: names are not looked up.
    """
    scheme = url[:8].partition(":")[0].lower()
    if scheme == "data":
        return ""
    if scheme not in ("http", "https"):
        return "expected an http://, https:// or data: URL"
    host = _host(url)
    if host is None:
        return "expected a URL with a plain host"
    if hosts:
        return "" if _is_among(host, hosts) else "this host is not allowed (limits.media_hosts)"
    if not _is_public(host):
        return "expected a public host; others must be listed (limits.media_hosts)"
    return ""


def _host(url: str) -> str | None:
    """Lower case, without brackets or a last dot; None where readers could differ."""
    head = url[:4096]
    if not head.isascii() or re.search(r"[\x00-\x20\x7f\\]", head.partition("?")[0]):
        return None
    try:
        parts = urlsplit(head)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if host is None or "@" in parts.netloc or "%" in parts.netloc:
        return None
    if parts.netloc.startswith("["):
        return host
    return host.rstrip(".") if _HOST.fullmatch(host) else None


def _is_among(host: str, hosts: tuple[str, ...]) -> bool:
    return any(
        host.endswith(allowed) if allowed.startswith(".") else host == allowed for allowed in hosts
    )


def _is_public(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        # What ends in a number is an address in one of its odd forms, such as 127.1.
        return "." in host and not _NUMBER.fullmatch(last) and last not in _PRIVATE_NAMES
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour or address.teredo or address in _TRANSLATED:
            return False
    return address.is_global and not address.is_multicast
