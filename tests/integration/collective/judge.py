"""A server model over real HTTP whose answers the test decides, word by word where streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

MODEL = "rill-edge"


class Judge:
    """A scripted server model. `answer_to` makes the answer from the last message (None: the
    connection breaks); the answer waits at `gate`."""

    def __init__(self) -> None:
        self.answer_to: Callable[[str], str | None] = lambda prompt: "Answer: 42"
        self.prompts: list[str] = []
        self.url = ""
        self.gate = asyncio.Event()
        self.gate.set()

    async def models(self, request: web.Request) -> web.Response:
        card = {"id": MODEL, "object": "model", "max_model_len": 4096}
        return web.json_response({"object": "list", "data": [card]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = body["messages"][-1]["content"]
        self.prompts.append(prompt)
        await self.gate.wait()
        text = self.answer_to(prompt)
        if text is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        usage = {"prompt_tokens": 50, "completion_tokens": len(text.split()), "total_tokens": 0}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response({"choices": [choice], "usage": usage})
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        for place, word in enumerate(text.split(" ")):
            delta = {"content": word if place == 0 else f" {word}"}
            await answer.write(_event({"choices": [{"index": 0, "delta": delta}]}))
        ending = {"index": 0, "delta": {}, "finish_reason": "stop"}
        await answer.write(_event({"choices": [ending]}))
        await answer.write(_event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n")
        return answer


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@asynccontextmanager
async def running_judge() -> AsyncIterator[Judge]:
    judge, app = Judge(), web.Application()
    app.router.add_get("/v1/models", judge.models)
    app.router.add_post("/v1/chat/completions", judge.chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    judge.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield judge
    finally:
        await runner.cleanup()
