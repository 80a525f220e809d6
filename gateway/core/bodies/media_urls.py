"""Addresses of pictures, sounds and films in a request: an engine fetches what they name, from
where it stands in the operator's own network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

FIELDS = frozenset({"image_url", "video_url", "audio_url", "file_url"})
_PLACES = (
    "messages", "system", "input", "previous_input_messages", "query", "queries", "documents",
    "items", "text_1", "text_2", "data_1", "data_2", "data",
)  # fmt: skip
_NAME_CHARS = 32
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


def media_urls(fields: Mapping[str, Any]) -> Iterator[MediaUrl]:
    """Those of all messages and items, at whatever depth: an answer of a tool has parts, too. What
    is no text is left to the engine."""
    waiting = [_Place(None, name, fields[name]) for name in reversed(_PLACES) if name in fields]
    while waiting:
        place = waiting.pop()
        value = place.value
        if isinstance(value, dict):
            for name in FIELDS & value.keys():
                url = value[name]
                if isinstance(url, dict):
                    url = url.get("url")
                if isinstance(url, str):
                    yield MediaUrl(_Place(place, name, None).text(), url)
            if isinstance(url := _source(value), str):
                yield MediaUrl(place.text(), url)
            inner: Iterable[tuple[str | int, Any]] = value.items()
        elif isinstance(value, list):
            inner = enumerate(value)
        else:
            continue
        waiting += reversed([_Place(place, n, v) for n, v in inner if isinstance(v, dict | list)])


def _source(part: Mapping[str, Any]) -> Any:
    """The address in a `source` of Anthropic's API, or in the `data` that a plugin of an engine's
    reads; None where there is none."""
    if part.get("type") == "url":
        return part.get("url")
    return part.get("data") if part.get("data_format") == "url" else None


class _Place(NamedTuple):
    """A value in a request, and where it stands."""

    parent: _Place | None
    name: str | int
    value: Any

    def text(self) -> str:
        """Names joined by dots; those that the caller chose may be long."""
        names: list[str] = []
        place: _Place | None = self
        while place is not None:
            names.append(str(place.name)[:_NAME_CHARS])
            place = place.parent
        return ".".join(reversed(names))


class MediaName(NamedTuple):
    """A host that is named in a request, and the field that it stands in."""

    field: str
    host: str


def name_in(url: str) -> str:
    """The name that an engine would have to look up; "" where there is none."""
    host = _host(url) if url[:5].lower() != "data:" else None
    if host is None:
        return ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


def problem_of(url: str, hosts: tuple[str, ...]) -> str:
    """Why an engine must not fetch this; "" where it may. `hosts` are the only ones that may be
    named, and those below them where they begin with a dot; without any, all public ones may.

    Where a public name leads is not known here: see `name_in`.
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
        return is_public_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        # What ends in a number is an address in one of its odd forms, such as 127.1.
        return "." in host and not _NUMBER.fullmatch(last) and last not in _PRIVATE_NAMES


def is_public_address(text: str) -> bool:
    """Raises ValueError for what is no address."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour or address.teredo or address in _TRANSLATED:
            return False
    return address.is_global and not address.is_multicast
