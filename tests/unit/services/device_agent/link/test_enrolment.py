"""An enrolment token becomes a device token, once; every failure is one line."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.device_agent.__main__ import main
from services.device_agent.arguments import (
    DEVICE_TOKEN,
    ENROLMENT_TOKEN,
    ArgumentFailure,
    device_token,
    parser,
)
from services.device_agent.link.enrolment import DeviceToken, EnrolmentFailed
from services.device_agent.link.greeting import TokenMissing
from tests.servers import free_port

ONE_TIME = "the-enrolment-token"


class Gateway:
    """A gateway that enrols devices as the test says, and records the requests."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.answer: tuple[int, Any] = (200, {"device": "phone", "device_token": "t" * 43})
        noted = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                noted.requests.append((self.path, json.loads(body)))
                status, said = noted.answer
                content = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


def enrol(gateway: str, file: Path) -> int:
    return main(
        ["enrol", "--gateway", gateway, "--token-file", str(file), "--name", "phone"],
    )


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENROLMENT_TOKEN, ONE_TIME)
    monkeypatch.delenv(DEVICE_TOKEN, raising=False)


def test_the_token_is_written_for_its_owner_only(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "new" / "device.token"
    assert enrol(gateway.url + "/", file) == 0
    ((path, body),) = gateway.requests
    assert path == "/v1/devices/enrol"
    assert len(body.pop("attempt")) == 32
    assert body == {"enrolment_token": ONE_TIME, "name": "phone"}
    assert file.read_text() == "t" * 43 + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "answer",
    [
        (403, {"error": {"message": "the enrolment token was used before"}}),
        (500, b"<html>"),
        (200, b"{}"),
        (200, {"device": "phone", "device_token": "two\nlines"}),
        (200, {"device": "phone", "device_token": ""}),
    ],
)
def test_what_goes_wrong_is_one_line_and_leaves_no_file(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: Any
) -> None:
    gateway.answer = answer
    assert enrol(gateway.url, tmp_path / "device.token") == 1
    said = capsys.readouterr().err
    assert said.startswith("device_agent: error: the gateway does not enrol this device: ")
    assert said.count("\n") == 1 and ONE_TIME not in said
    assert not list(tmp_path.iterdir())


def test_a_gateway_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(f"http://127.0.0.1:{free_port()}", tmp_path / "device.token") == 1
    assert "the gateway can't be reached" in capsys.readouterr().err


def test_a_file_that_can_not_be_written_does_not_use_up_the_token(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert enrol(gateway.url, tmp_path / "file" / "device.token") == 1
    assert "can't be written" in capsys.readouterr().err
    assert not gateway.requests


def test_without_an_enrolment_token_it_says_what_to_give(
    gateway: Gateway,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(ENROLMENT_TOKEN)
    assert enrol(gateway.url, tmp_path / "device.token") == 2
    assert "--enrolment-token-file" in capsys.readouterr().err


def token_of(file: Path, gateway: str) -> DeviceToken:
    flags = ["--model", "m", "--gateway", gateway, "--token-file", str(file), "--name", "phone"]
    return device_token(parser().parse_args(flags))


def test_an_agent_without_a_token_enrols_by_itself_and_only_once(
    gateway: Gateway, tmp_path: Path
) -> None:
    token = token_of(tmp_path / "device.token", gateway.url)
    assert [asyncio.run(token.token()) for _ in range(2)] == ["t" * 43] * 2
    assert len(gateway.requests) == 1
    again = token_of(tmp_path / "device.token", gateway.url)
    assert asyncio.run(again.token()) == "t" * 43
    assert len(gateway.requests) == 1


def test_a_refused_enrolment_is_not_asked_for_again_but_an_outage_is(
    gateway: Gateway, tmp_path: Path
) -> None:
    token = token_of(tmp_path / "device.token", gateway.url)
    gateway.answer = (503, {"error": {"message": "later"}})
    for _ in range(2):
        with pytest.raises(TokenMissing, match="later"):
            asyncio.run(token.token())
    assert len(gateway.requests) == 2
    gateway.answer = (403, {"error": {"message": "used before"}})
    for _ in range(2):
        with pytest.raises(EnrolmentFailed, match="used before"):
            asyncio.run(token.token())
    assert len(gateway.requests) == 3


def test_a_missing_token_file_is_refused_where_nothing_can_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENROLMENT_TOKEN)
    with pytest.raises(ArgumentFailure, match="--token-file .*missing or empty"):
        token_of(tmp_path / "device.token", "http://gateway")
