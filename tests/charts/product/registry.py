"""A stand-in for an OCI registry: it takes what is pushed, and gives it back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

Contents = dict[str, bytes]
"""Manifests and blobs by the path under which they are asked for."""


class Uploads(BaseHTTPRequestHandler):
    """One request of a client that pushes or pulls."""

    contents: Contents
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/v2/":
            self._answer(200)
        elif self.path in self.contents:
            content = self.contents[self.path]
            kind = "application/vnd.oci.image.manifest.v1+json"
            self._answer(200, content, {"Content-Type": kind, **_digest(content)})
        else:
            self._answer(404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._body()
        self._answer(202, headers={"Location": f"{self.path}upload"})

    def do_PUT(self) -> None:
        content = self._body()
        address = urlsplit(self.path)
        path = address.path
        if "/blobs/uploads/" in path:
            (digest,) = parse_qs(address.query)["digest"]
            path = f"{path.partition('uploads/')[0]}{digest}"
        else:
            digest = _digest(content)["Docker-Content-Digest"]
            self.contents[f"{path.rpartition('/')[0]}/{digest}"] = content
        self.contents[path] = content
        self._answer(201, headers={"Location": path, **_digest(content)})

    def log_message(self, *_: object) -> None:
        """Nothing: the tests say what was asked."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(
        self, status: int, content: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _digest(content: bytes) -> dict[str, str]:
    return {"Docker-Content-Digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}


@contextmanager
def registry() -> Iterator[tuple[str, Contents]]:
    """Its host and port, and what lies in it."""
    contents: Contents = {}
    handler = type("Handler", (Uploads,), {"contents": contents})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", contents
        server.shutdown()
