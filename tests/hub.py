"""A stand-in of the Hugging Face hub over HTTP, to which HF_ENDPOINT may point.

It serves the files of folders as repositories, as the hub's client asks for them. Repositories in
`gated` are given to who has their token; those in `broken` answer with a status.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40


@dataclass
class Hub:
    """What is there, by id. `asked` are the paths of all requests, `tokens` what they showed."""

    repositories: Mapping[str, Path]
    gated: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    url: str = ""

    def refusal(self, model: str, token: str) -> tuple[int, str] | None:
        """Status and code, as the hub has them."""
        if model in self.broken:
            return self.broken[model], ""
        if token and token not in self.gated.values():
            return 401, ""
        if model in self.gated and token != self.gated[model]:
            return (403 if token else 401), "GatedRepo"
        if model not in self.repositories:
            return (404 if token else 401), "RepoNotFound"
        return None

    def files(self, model: str) -> dict[str, Path]:
        folder = self.repositories[model]
        return {str(each.relative_to(folder)): each for each in folder.rglob("*") if each.is_file()}


@contextmanager
def hub(repositories: Mapping[str, Path], **more: Mapping[str, object]) -> Iterator[Hub]:
    """`more` are further fields of Hub."""
    made = Hub(repositories, **more)  # type: ignore[arg-type]
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": made}))
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.hub.asked.append(path)
        self.hub.tokens.add(token)
        words = path.removeprefix("api/models/").split("/")
        model, rest = "/".join(words[:2]), words[2:]
        if refused := self.hub.refusal(model, token):
            return self._send(refused[0], b"{}", {"X-Error-Code": refused[1]} if refused[1] else {})
        if path.startswith("api/models/"):
            return self._send(200, json.dumps(self._described(model, rest)).encode(), {})
        file = self.hub.files(model).get("/".join(rest[2:]))
        if file is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        content = file.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def _described(self, model: str, rest: list[str]) -> object:
        files = self.hub.files(model)
        if rest[:1] == ["tree"]:
            below = "/".join(rest[2:])
            return [
                {
                    "type": "file",
                    "path": name,
                    "size": file.stat().st_size,
                    "oid": hashlib.sha1(file.read_bytes()).hexdigest(),
                }
                for name, file in sorted(files.items())
                if name.startswith(below)
            ]
        siblings = [{"rfilename": name} for name in sorted(files)]
        return {"id": model, "modelId": model, "sha": COMMIT, "siblings": siblings, "tags": []}

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass
