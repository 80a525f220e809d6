"""Servers that answer over real HTTP in place of an API server and of a registry.

Answers stand in a table by path and are changed by the tests. Requests are remembered.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
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


Answerer: TypeAlias = Callable[[Request], Answer]
Table: TypeAlias = dict[str, Answer | Silence | Answerer]


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
def stand_in(answers: Table) -> Iterator[StandIn]:
    """Serves until the block ends; what is unknown is not found."""
    server = _Server(("127.0.0.1", 0), _Handler)
    host, port = server.server_address[:2]
    server.stand_in = StandIn(f"http://{host!s}:{port}", answers, [], threading.Event())
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
        body = json.loads(self.rfile.read(length)) if length else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, address.path, query, headers, body)
        of.requests.append(request)
        found = of.answers.get(address.path, refusal(404, "not found"))
        if isinstance(found, Silence):
            of.ended.wait()
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

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
