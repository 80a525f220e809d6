"""Servers that answer over real HTTP in place of an API server, a registry and an engine.

Answers stand in a table by path and are changed by the tests. Requests are remembered.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Answer:
    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Silence:
    """In place of an answer: the connection stays open, and nothing comes."""


@dataclass
class Script:
    """A stream whose bytes are sent as they stand here, one piece after the other, and how it ends:
    as HTTP says, with the connection cut off, with nothing more on an open connection, or with
    `refrain` again and again until the caller leaves. `gate`: what follows the first piece waits
    for it."""

    pieces: Sequence[bytes]
    ending: Literal["closed", "cut", "open", "refrain"] = "closed"
    refrain: bytes = b": still here\n\n"
    content_type: str = "text/event-stream"
    gate: threading.Event = field(default_factory=threading.Event)


Answerer: TypeAlias = Callable[[Request], Answer]
Table: TypeAlias = dict[str, Answer | Silence | Script | Answerer]


@dataclass
class StandIn:
    url: str
    answers: Table
    requests: list[Request]
    ended: threading.Event

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self.url.removeprefix("http://")

    def paths(self, method: str = "GET") -> list[str]:
        return [request.path for request in self.requests if request.method == method]


def refusal(status: int, message: str) -> Answer:
    """As an API server refuses."""
    return Answer({"kind": "Status", "apiVersion": "v1", "message": message}, status)


@contextmanager
def stand_in(answers: Table, tls: ssl.SSLContext | None = None) -> Iterator[StandIn]:
    """Serves until the block ends; what is unknown is not found. `tls`: over https."""
    server = _Server(("127.0.0.1", 0), _Handler)
    host, port = server.server_address[:2]
    scheme = "http"
    if tls is not None:
        # The handshake is left to the thread of each connection.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        scheme = "https"
    server.stand_in = StandIn(f"{scheme}://{host!s}:{port}", answers, [], threading.Event())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.stand_in
    finally:
        server.stand_in.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    stand_in: StandIn
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        of = self.server.stand_in
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body: Any = self.rfile.read(length) if length else None
        if body is not None and "multipart/" not in headers.get("content-type", ""):
            body = json.loads(body)
        request = Request(self.command, address.path, query, headers, body)
        of.requests.append(request)
        found = of.answers.get(address.path, refusal(404, "not found"))
        if isinstance(found, Silence):
            of.ended.wait()
            return
        if isinstance(found, Script):
            self._play(found)
            return
        answer = found if isinstance(found, Answer) else found(request)
        content = (
            answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        )
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _play(self, script: Script) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Content-Type", script.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in script.pieces[:1]:
            self._chunk(piece)
        script.gate.wait()
        for piece in script.pieces[1:]:
            self._chunk(piece)
        if script.ending == "open":
            self.server.stand_in.ended.wait()
        while script.ending == "refrain" and not self.server.stand_in.ended.wait(0.02):
            try:
                self._chunk(script.refrain)
            except OSError:
                break
        if script.ending == "closed":
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
