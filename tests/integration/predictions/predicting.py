"""A caller of chat and completions, with and without a prediction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.reference_verifier.client import SECRET, MailboxClient, Verifier, http
from tests.servers import Server, eventually, start_gateway

HOSTS = ("127.0.0.1", "localhost")
"""Names of the one host: a mailbox is listed once by each name."""


@dataclass
class Reply:
    """What came of a request; `body` is that of an answer in one piece."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    reason: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def said(self) -> tuple[str, str | None]:
        return self.text, self.reason

    @property
    def details(self) -> dict[str, int]:
        return self.usage.get("completion_tokens_details") or {}


@dataclass(frozen=True)
class Asker:
    gateway: Server
    engine: Verifier

    def ask(self, path: str, **fields: Any) -> Reply:
        body = {"model": self.engine.model, "temperature": 0, **fields}
        if fields.get("stream"):
            return self._stream(path, body)
        found = self.post(path, **fields)
        assert found.status_code == 200, found.text
        read = found.json()
        choice = read["choices"][0]
        text = choice["text"] if "text" in choice else choice["message"]["content"]
        ids, usage = choice["token_ids"] or [], read["usage"]
        return Reply(text, ids, choice["finish_reason"], usage, found.headers, read)

    def post(self, path: str, **fields: Any) -> httpx.Response:
        body = {"model": self.engine.model, "temperature": 0, **fields}
        return http.post(self.gateway.url + path, json=body)

    def _stream(self, path: str, body: dict[str, Any]) -> Reply:
        reply = Reply()
        with http.stream("POST", self.gateway.url + path, json=body) as response:
            assert response.status_code == 200, response.read()
            reply.headers = response.headers
            for line in response.iter_lines():
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line[6:])
                reply.events.append(event)
                assert "error" not in event, event
                reply.usage = event.get("usage") or reply.usage
                for choice in event["choices"]:
                    reply.text += choice["text"] if "text" in choice else _content(choice)
                    reply.ids += choice.get("token_ids") or []
                    reply.reason = choice["finish_reason"] or reply.reason
        return reply

    def counts(self) -> dict[str, int]:
        with MailboxClient(self.engine.mailbox) as mailbox:
            return mailbox.counts()


def start_asker(
    engine: Verifier, folder: Path, stack: ExitStack, *, urls: Sequence[str] = (), **settings: Any
) -> Asker:
    """Of a gateway with an endpoint for each of `urls`, behind all of which stands the engine; the
    engine itself where there are none."""
    endpoints = list(urls) or [engine.url]
    pool = {
        "tier": "cloud",
        "endpoints": endpoints,
        "mailboxes": [
            f"{host}:{engine.mailbox}" for host, _ in zip(HOSTS, endpoints, strict=False)
        ],
        "mailbox_secret": SECRET,
    }
    gateway = start_gateway({"pools": {"cloud": pool}, **settings}, folder)
    stack.callback(gateway.stop)

    def ready() -> bool:
        found = http.get(gateway.url + "/ready").json()
        return bool(found["ready"]) and not found["conditions"]

    eventually(ready, "the endpoints are ready, and their mailboxes connected")
    return Asker(gateway, engine)


def _content(choice: dict[str, Any]) -> str:
    return choice["delta"].get("content") or ""


def predicting(text: str) -> dict[str, Any]:
    return {"prediction": {"type": "content", "content": text}}
