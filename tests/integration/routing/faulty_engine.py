"""Engines that fail on the wire as a test says: raw bytes over real sockets, in a thread.

Each answers vLLM's routes. Chat completions fail as `fault` names it; without one they say "42".
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.contract.scripted_engine import read_request

HTML = b"<html><head><title>404 Not Found</title></head></html>"
ERROR = {"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}
REFUSAL = {"error": {"message": "temperature is wrong", "type": "BadRequestError", "code": 400}}
NO_MODEL = {"error": {"message": "no such model", "type": "NotFoundError", "code": 404}}
JSON, STREAM, PAGE = "application/json", "text/event-stream", "text/html"


def answer(status: int, body: bytes, kind: str = JSON, **headers: str) -> bytes:
    """A whole answer on a connection that stays open."""
    lines = [f"HTTP/1.1 {status} -", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def events(*payloads: Any) -> bytes:
    lines = [p if isinstance(p, str) else json.dumps(p) for p in payloads]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def body(of: dict[str, Any]) -> bytes:
    return json.dumps(of).encode()


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


ROLE = chunk({"role": "assistant", "content": ""})
USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 0}}
FAULTS: dict[str, bytes] = {
    "500": answer(500, body(ERROR)),
    "503": answer(503, b"upstream connect error", "text/plain"),
    "503 with retry-after": answer(503, b"loading", "text/plain", retry_after="1"),
    "502": answer(502, HTML, PAGE),
    "429": answer(429, body({"error": {"message": "slow down"}}), retry_after="1"),
    "401": answer(401, body({"error": "Unauthorized"}), www_authenticate="Bearer"),
    "403": answer(403, HTML, PAGE),
    "307": answer(307, b"", location="http://127.0.0.1:1/"),
    "404": answer(404, body(NO_MODEL)),
    "422": answer(422, body({"detail": "no"})),
    "418": answer(418, body(ERROR)),
    "html 413": answer(413, HTML, PAGE),
    "404 as first event": answer(200, events(NO_MODEL, "[DONE]"), STREAM),
    "html 404": answer(404, HTML, PAGE),
    "error event first": answer(200, events(ERROR, "[DONE]"), STREAM),
    "no event": answer(200, events("[DONE]"), STREAM),
    "nothing in a stream": answer(200, b"", STREAM),
    "empty events in a stream": answer(200, events({}, {"detail": "busy"}, "[DONE]"), STREAM),
    "no choices in a stream": answer(200, events({"choices": []}, USAGE, "[DONE]"), STREAM),
    "a role alone in a stream": answer(200, events(ROLE, "[DONE]"), STREAM),
    "a role in a stream that ends": answer(200, events(ROLE), STREAM),
    "nothing": answer(200, b""),
    "an empty object": answer(200, b"{}"),
    "no choices": answer(200, b'{"id": "x", "choices": []}'),
    "choices that are null": answer(200, b'{"id": "x", "choices": null}'),
    "an error in a 200": answer(200, body(ERROR)),
    "a login page": answer(200, b"<html>log in</html>", PAGE),
    "no http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "half an answer": answer(200, b'{"id": "x"}')[:-5],
    "closes": b"",
}
"""What is sent for a chat completion. The connection ends after what is no whole answer."""
CUT = frozenset({"no http", "half an answer", "closes"})
REFUSALS: dict[str, bytes] = {
    "400": answer(400, body(REFUSAL)),
    "400 as first event": answer(200, events(REFUSAL, "[DONE]"), STREAM),
}
"""What is wrong with the caller's own request, as engines say it."""
HANGS = "hangs"
BUSY: dict[str, bytes] = {
    "429 for 7 s": answer(429, b"", retry_after="7"),
    "503 for 9 s": answer(503, b"", retry_after="9"),
}
"""It says when it wants to be asked again."""


@dataclass
class FaultyEngine:
    """`delivered` counts the chat completions that came, `waiting` those that hang now."""

    model: str
    fault: str | None = None
    health: int = 200
    delivered: int = 0
    waiting: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def id(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader))[0]:
                if not await self._answer(*request, reader, writer):
                    return
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            # The gateway has closed the connection, or the test is over.
            pass
        finally:
            writer.close()

    async def _answer(
        self,
        head: bytes,
        content: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Whether the connection goes on."""
        path = head.split(b" ")[1].decode()
        if path != "/v1/chat/completions":
            writer.write(self._page(path))
            return True
        self.delivered += 1
        fault = self.fault
        if fault == HANGS:
            self.waiting += 1
            try:
                return bool(await reader.read(1))
            finally:
                self.waiting -= 1
        if fault is not None:
            writer.write({**FAULTS, **REFUSALS, **BUSY}[fault])
            return fault not in CUT
        await asyncio.sleep(0.005)
        writer.write(self._chat(json.loads(content).get("stream", False)))
        return True

    def _page(self, path: str) -> bytes:
        if path == "/health":
            return answer(self.health, b"")
        if path == "/v1/models":
            return answer(200, body({"data": [{"id": self.model, "max_model_len": 2048}]}))
        if path == "/tokenize":
            return answer(200, body({"tokens": [1, 2, 3]}))
        return answer(404, body({"detail": "Not Found"}))

    def _chat(self, stream: bool) -> bytes:
        if not stream:
            choice = {"index": 0, "message": {"role": "assistant", "content": "42"}}
            return answer(200, body({"choices": [{**choice, "finish_reason": "stop"}]}))
        deltas = [{"role": "assistant", "content": ""}, {"content": "4"}, {"content": "2"}]
        pieces = [chunk(delta) for delta in deltas]
        return answer(200, events(*pieces, chunk({}, "stop"), "[DONE]"), STREAM)


@contextmanager
def serving(engines: Sequence[FaultyEngine]) -> Iterator[None]:
    """They serve in a thread until the block ends."""
    ready, handle = threading.Event(), list[Callable[[], object]]()

    async def serve() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        handle.append(lambda: loop.call_soon_threadsafe(ended.set))
        async with AsyncExitStack() as stack:
            for engine in engines:
                server = await asyncio.start_server(engine.serve, "127.0.0.1", 0, backlog=512)
                stack.callback(server.close)
                engine.port = server.sockets[0].getsockname()[1]
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        handle[0]()
        thread.join()
