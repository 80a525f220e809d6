"""Addresses in the settings: hosts, `host:port` and URLs. Sentences show no part of an address in
which a password may stand."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
API_PATH = re.compile(
    r"/v1(/(audio|chat|completions|embeddings|messages|models|rerank|responses|score)(/.*)?)?"
)
"""How the path of a base URL ends that already has what the gateway adds."""
NO_URL = "is not an http:// or https:// URL, such as http://127.0.0.1:8101"


def check_host(host: str) -> None:
    """Raises ValueError for what is neither a name nor an address: with a scheme, a port, spaces.
    An IPv6 address has no brackets here."""
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError(f"{host!r} is no host; write a name or an address alone") from None
        return
    try:
        # As the resolver does: no label is empty or longer than 63 bytes.
        spelt = host.encode("idna").decode()
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", spelt):
            raise ValueError
        if spelt.rstrip(".").rpartition(".")[2].isdigit():
            socket.inet_aton(spelt)
    except (ValueError, OSError):
        raise ValueError(f"{host!r} is no name of a host and no address") from None


def parse_address(address: str, example_port: int) -> tuple[str, int]:
    """Host and port. Raises ValueError that shows the address, which is no secret."""
    host, _, port = address.rpartition(":")
    wrong = f"{address!r} is not host:port, such as 127.0.0.1:{example_port}"
    if not host or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError(wrong)
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed != (":" in host):
        raise ValueError(f"{wrong}, or [::1]:{example_port}")
    host = host.strip("[]")
    try:
        check_host(host)
    except ValueError as error:
        raise ValueError(f"{wrong}: {error}") from None
    return host, int(port)


def check_url(url: str) -> SplitResult:
    """The parts of an http:// or https:// URL. Raises ValueError."""
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("a URL has no spaces and no line ends; take them out")
    shown = _shown(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"{shown} {NO_URL}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "a URL with a user or a password would show it in ids, logs and metrics; leave it out"
        )
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{shown} {NO_URL}")
    try:
        wrong_port = parts.port == 0 or parts.netloc.endswith(":")
    except ValueError:
        wrong_port = True
    if wrong_port:
        raise ValueError(f"{shown} has a wrong port; ports are from 1 to 65535")
    try:
        check_host(parts.hostname)
    except ValueError as error:
        raise ValueError(f"{shown}: {error}") from None
    return parts


def base_url(url: str) -> str:
    """The URL of a server, in one spelling: scheme and host in small letters, no `/` at the end.
    Raises ValueError for one that has more than a path, or the path of an API's route."""
    try:
        parts = check_url(url)
    except ValueError as error:
        hint = ", and set the pool's `api_key`, which is sent as a bearer token"
        raise ValueError(f"{error}{hint}" if "a password" in str(error) else str(error)) from None
    if "?" in url or "#" in url:
        raise ValueError("a base URL ends with its path; leave out what begins with `?` or `#`")
    path = parts.path.rstrip("/")
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    server = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    if found := re.search(API_PATH.pattern + "$", path):
        right = server + path[: found.start()]
        raise ValueError(
            f"{url!r} ends with {found[0]}, which the gateway adds by itself; write {right}"
        )
    return server + path


def server_names(url: str) -> set[str]:
    """What a base URL's server is called: as it is written, which is the endpoint's id, and with
    its port. Two URLs with one of these in common can't be told apart."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    return {parts.netloc + parts.path, f"{parts.hostname}:{port}{parts.path}"}


def check_origin(origin: str) -> None:
    """Raises ValueError for what is no origin of web pages. A scheme other than http is that of an
    app's pages."""
    scheme, separator, rest = origin.partition("://")
    wrong = f"{_shown(origin)} is not an origin, such as https://app.example.org"
    if not re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme) or not separator or not rest:
        raise ValueError(wrong)
    if re.search(r"[\s/?#@*]", rest):
        raise ValueError(f"{wrong}; it has no path, no user and no `*`")
    if scheme.lower() in DEFAULT_PORTS:
        check_url(origin)


def _shown(url: str) -> str:
    """For sentences; not what a password or a token may stand in."""
    return "this" if set(url) & set("@?") else repr(url)
