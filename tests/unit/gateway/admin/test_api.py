"""Where the admin token goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from gateway.admin.api import Api


class Listening(HTTPServer):
    """Answers everything, and remembers what was asked with which token."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Listening

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["authorization"]))
        body = json.dumps({"object": "list"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def servers() -> Iterator[tuple[Listening, Listening]]:
    found = Listening(), Listening()
    for server in found:
        Thread(target=server.serve_forever, daemon=True).start()
    yield found
    for server in found:
        server.shutdown()
        server.server_close()


def test_the_admin_token_goes_through_no_proxy_of_the_environment(
    servers: tuple[Listening, Listening], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, proxy = servers
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert Api(gateway.url, "secret").call("GET", "/v1/devices") == {"object": "list"}
    assert proxy.requests == []
    assert gateway.requests == [("/v1/devices", "Bearer secret")]
