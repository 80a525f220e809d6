"""Where the admin token goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gateway.admin.api import Api
from gateway.admin.problems import BadInput, CommandRefused
from tests.certificates import authority, needs_openssl
from tests.stand_in import Answer, stand_in


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
    assert Api(url=gateway.url, token="secret").call("GET", "/v1/devices") == {"object": "list"}
    assert proxy.requests == []
    assert gateway.requests == [("/v1/devices", "Bearer secret")]


@needs_openssl
def test_a_certificate_of_ones_own_authority_is_taken_by_its_file_and_its_name(
    tmp_path: Path,
) -> None:
    own = authority(tmp_path)
    tls = own.server(own.issue("gateway"))
    with stand_in({"/v1/devices": Answer({"object": "list"})}, tls=tls) as gateway:
        url, ca = gateway.url, Path(own.ca)
        assert Api(url=url, token="secret", ca=ca).call("GET", "/v1/devices") == {"object": "list"}
        named = Api(url=url, token="secret", ca=ca, server_name="localhost")
        assert named.call("GET", "/v1/devices") == {"object": "list"}
        for stranger in (
            Api(url=url, token="secret"),
            Api(url=url, token="secret", ca=ca, server_name="other"),
        ):
            with pytest.raises(CommandRefused, match="certificate verify failed"):
                stranger.call("GET", "/v1/devices")


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "ca.crt"
    empty.write_text("nothing")
    for file in (empty, tmp_path / "missing"):
        with pytest.raises(BadInput, match="^--ca "):
            Api(url="https://localhost", token="secret", ca=file)
