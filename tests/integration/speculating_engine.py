"""An engine that verifies drafts as a real one does, with a text that is known beforehand.

It speaks what the gateway needs of vLLM's API and of the drafts' mailbox, in a thread of its own.
One step gives the drafts that agree with the text, at most `PER_STEP`, and one token more.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
from aiohttp import web

SECRET = "a secret of tests"
VOCABULARY = 1000
PER_STEP = 8
MAX_MODEL_LEN = 2048


def answer_ids(prompt: list[int], count: int) -> list[int]:
    """What the engine says to a prompt. Each token depends on the whole text before it, so the
    answer to a prompt and the beginning of its answer is the rest of that."""
    ids: list[int] = []
    total, length = sum(prompt), len(prompt)
    for _ in range(count):
        ids.append((3 * total + 7 * length) % VOCABULARY)
        total, length = total + ids[-1], length + 1
    return ids


@dataclass
class SpeculatingEngine:
    """`start` it, then it serves at `url`, with its mailbox at `mailbox` (host:port).

    `shift` changes the tokenizer. `gate` cleared: steps wait. `breaks_after`: the connection of an
    answer is cut after so many tokens; `breaks_for_good`: from then on it refuses. `refuses`:
    /v1/completions answers with this status, and names `refused_field`, if that is set. `rounds`
    counts requests with several prompts, which it refuses where `refuses_rounds`, and of which it
    cuts the next one where `breaks_in_round`.
    """

    model: str = "rill-cloud"
    vocabulary: int = VOCABULARY
    shift: int = 0
    breaks_after: int | None = None
    breaks_for_good: bool = False
    refuses: int | None = None
    refused_field: str = ""
    refuses_rounds: bool = False
    breaks_in_round: bool = False
    rounds: int = 0
    url: str = ""
    mailbox: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    drafts: dict[str, list[tuple[int, list[int]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    running: int = 0
    aborted: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    step_s: float = 0.002
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _peers: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    def answer(self, body: dict[str, Any]) -> tuple[list[int], str, str | None]:
        """What is said to a request: ids, finish reason, stop text."""
        return answer_ids(body["prompt"], body["max_tokens"]), "length", None

    def further_routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/chat/completions", self._complete)]

    def written(self, before: list[int], ids: list[int]) -> str:
        """What `ids` add to the text of `before`."""
        return ""

    def encode(self, text: str) -> list[int]:
        return [(ord(letter) + self.shift) % self.vocabulary for letter in text]

    def start(self) -> None:
        self.gate.set()
        up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(up,), daemon=True)
        self._thread.start()
        assert up.wait(10)

    def stop(self) -> None:
        """At the second call nothing."""
        if self._loop.is_closed():
            return
        self.gate.set()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def close_mailbox(self) -> None:
        """Hang up on the gateway and take no more connections."""
        asyncio.run_coroutine_threadsafe(self._close_mailbox(), self._loop).result(10)

    async def _close_mailbox(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._peers:
            writer.transport.abort()

    def open_mailbox(self) -> None:
        """The same address again."""
        asyncio.run_coroutine_threadsafe(self._open_mailbox(), self._loop).result(10)

    async def _open_mailbox(self) -> None:
        port = int(self.mailbox.rpartition(":")[2] or 0)
        self._server = await asyncio.start_server(self._serve_mailbox, "127.0.0.1", port)
        self.mailbox = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _run(self, up: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._bind())
        up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end(runner))
        self._loop.close()

    async def _bind(self) -> web.AppRunner:
        app = web.Application()
        app.add_routes(
            [
                web.get("/health", self._empty),
                web.get("/metrics", self._empty),
                web.get("/v1/models", self._models),
                web.post("/tokenize", self._tokenize),
                web.post("/v1/completions", self._complete),
                *self.further_routes(),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        await self._open_mailbox()
        return runner

    async def _end(self, runner: web.AppRunner) -> None:
        await self._close_mailbox()
        await runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _empty(self, request: web.Request) -> web.Response:
        return web.Response(text="")

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": self.model, "max_model_len": MAX_MODEL_LEN}]})

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        text = body.get("prompt") or "".join(m["content"] for m in body["messages"])
        return web.json_response({"tokens": self.encode(text)})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if "messages" in body:
            body["prompt"] = self.encode("".join(m["content"] for m in body["messages"]))
            body.setdefault("max_tokens", MAX_MODEL_LEN - len(body["prompt"]))
        if isinstance(body["prompt"][0], list):
            return await self._round(body["prompt"], request)
        if self.refuses is not None:
            field, words = self.refused_field, "the engine's own words"
            named = {"message": f"{words} ({field})", "param": field}
            error = named if field else {"message": words}
            return web.json_response({"error": error}, status=self.refuses)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        self.running += 1
        try:
            await self._generate(body, response, request)
        except (ConnectionError, asyncio.CancelledError):
            self.aborted += 1
            raise
        finally:
            self.running -= 1
        return response

    async def _round(self, prompts: list[list[int]], request: web.Request) -> web.Response:
        """The next token after each of the prompts, in one step."""
        if self.refuses_rounds:
            message = "prompt: several are not supported"
            return web.json_response({"error": {"message": message}}, status=400)
        if self.breaks_in_round:
            self.breaks_in_round = False
            assert request.transport is not None
            request.transport.abort()
        self.rounds += 1
        await asyncio.sleep(self.step_s)
        choices = [
            {"index": index, "text": "", "token_ids": answer_ids(prompt, 1)}
            | {"finish_reason": "length", "stop_reason": None}
            for index, prompt in enumerate(prompts)
        ]
        # In no order that a client may count on.
        return web.json_response({"choices": choices[::-1]})

    async def _generate(
        self, body: dict[str, Any], response: web.StreamResponse, request: web.Request
    ) -> None:
        truth, end, stop = self.answer(body)
        wanted = len(truth)
        drafts = self.drafts[body.get("vllm_xargs", {}).get("draft_session", "")]
        done = 0
        while done < wanted:
            await asyncio.sleep(self.step_s)
            while not self.gate.is_set():
                if request.transport is None or request.transport.is_closing():
                    raise ConnectionError
                await asyncio.sleep(self.step_s)
            right = _agreeing(drafts, truth, done)
            ids = truth[done : min(done + right + 1, wanted)]
            text = self.written(truth[:done], ids)
            done += len(ids)
            reason = end if done == wanted else None
            choice = {"index": 0, "token_ids": ids, "finish_reason": reason}
            choice |= {"delta": {"content": text}} if "messages" in body else {"text": text}
            choice |= {"stop_reason": stop} if reason else {}
            event: dict[str, Any] = {"choices": [choice]}
            if len(ids) == done:
                (event if "messages" in body else choice)["prompt_token_ids"] = body["prompt"]
            await _send(response, event)
            if self.breaks_after is not None and done >= self.breaks_after:
                self.refuses = 503 if self.breaks_for_good else None
                assert request.transport is not None
                request.transport.abort()
                return
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": done}
        await _send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")

    async def _serve_mailbox(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._peers.add(writer)
        nonce = bytes(range(32))
        writer.write(nonce)
        try:
            given = await reader.readexactly(32)
            if hmac.digest(SECRET.encode(), nonce, hashlib.sha256) != given:
                return
            greeting = {"version": 1, "vocabulary": self.vocabulary, "per_step": PER_STEP}
            writer.write(_framed(greeting))
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                message = msgspec.msgpack.decode(await reader.readexactly(size))
                if message:
                    session, position, ids, _ = message
                    self.drafts[session].append((position, ids))
                else:
                    came = len(self.drafts)
                    writer.write(_framed({"received": came, "offered": came, "denied": 0}))
        except (ConnectionError, EOFError):
            pass
        finally:
            self._peers.discard(writer)
            writer.close()


def _agreeing(drafts: list[tuple[int, list[int]]], truth: list[int], done: int) -> int:
    """How many tokens from `done` on some draft has right."""
    best = 0
    for position, ids in drafts:
        offset = done - position
        if 0 <= offset < len(ids):
            right = 0
            for drafted, wanted in zip(ids[offset:], truth[done:], strict=False):
                if drafted != wanted:
                    break
                right += 1
            best = max(best, right)
    return min(best, PER_STEP)


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + orjson.dumps(event) + b"\n\n")


def _framed(content: Any) -> bytes:
    message = msgspec.msgpack.encode(content)
    return len(message).to_bytes(4, "big") + message
