"""Talks to a verifier as the gateway does: a stream of completions, and a mailbox for drafts."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx
import msgspec

from gateway.protocol import mailbox as wire

SECRET = "a secret of the tests alone"
http = httpx.Client(trust_env=False, timeout=60)


def new_session() -> str:
    return uuid.uuid4().hex


class MailboxClient:
    """One connection to the mailbox on `port` here. Raises ConnectionError when refused."""

    def __init__(self, port: int, secret: str = SECRET) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        # Small messages one after the other would each wait 40 ms for the last one's receipt.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        try:
            self.send(wire.proof(secret.encode(), self._read(wire.NONCE_BYTES)))
            self.greeting: dict[str, int] = self.receive()
        except ConnectionError:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> MailboxClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def put(
        self, session: str, position: int, tokens: Sequence[int], before: Sequence[int] = ()
    ) -> None:
        """Returns when the mailbox has taken the drafts."""
        self.send(wire.framed([session, position, list(tokens), list(before)]))
        self.counts()

    def counts(self) -> dict[str, int]:
        self.send(wire.framed([]))
        answer: dict[str, int] = self.receive()
        return answer

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> Any:
        return msgspec.msgpack.decode(self._read(int.from_bytes(self._read(4), "big")))

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise ConnectionError("the mailbox closed the connection")
        return data


@dataclass
class Answer:
    """What came of a request: token ids, and how they were divided into chunks."""

    chunks: list[list[int]] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)

    @property
    def ids(self) -> list[int]:
        return [token for chunk in self.chunks for token in chunk]


@dataclass
class Verifier:
    """A verifier under test: where it serves, and where it takes drafts. `greedy_only`: it makes
    sampled answers without any."""

    url: str
    model: str
    mailbox: int
    greedy_only: bool = False

    def tokenize(self, text: str) -> list[int]:
        body = {"model": self.model, "prompt": text}
        tokens: list[int] = http.post(self.url + "/tokenize", json=body).json()["tokens"]
        return tokens

    def steps(self) -> float:
        """How many steps have said something since the start."""
        page = http.get(self.url + "/metrics").text
        name = "vllm:iteration_tokens_total_count"
        return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))

    def answer(
        self,
        prompt: Sequence[int],
        session: str | None = None,
        heard: Callable[[list[int]], None] | None = None,
        **sampling: Any,
    ) -> Answer:
        """Ask for a completion; `heard` is called with all ids so far after each chunk."""
        answer = Answer()
        for chunk in self._chunks(prompt, session, sampling):
            answer.usage = chunk.get("usage") or answer.usage
            for choice in chunk["choices"]:
                answer.finish_reason = choice["finish_reason"] or answer.finish_reason
                if choice.get("token_ids"):
                    answer.chunks.append(choice["token_ids"])
                    if heard is not None:
                        heard(answer.ids)
        return answer

    def leave(self, prompt: Sequence[int], session: str, **sampling: Any) -> None:
        """Ask for a completion, and close the connection after the first chunk."""
        chunks = self._chunks(prompt, session, sampling)
        next(chunks)
        chunks.close()

    def _chunks(
        self, prompt: Sequence[int], session: str | None, sampling: dict[str, Any]
    ) -> Generator[dict[str, Any], None, None]:
        body = {"model": self.model, "prompt": list(prompt), "stream": True, **sampling}
        body |= {"stream_options": {"include_usage": True}, "return_token_ids": True}
        if session is not None:
            body["vllm_xargs"] = {"draft_session": session}
        with http.stream("POST", self.url + "/v1/completions", json=body) as response:
            assert response.status_code == 200, response.read()
            for line in response.iter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    yield json.loads(line[6:])
