"""An engine under another name: one engine stands for two tiers that way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web


@dataclass
class _Proxy:
    target: str
    name: str
    model: str

    async def relay(self, request: web.Request) -> web.StreamResponse:
        """Names in quotes are changed on the way, there and back."""
        there, back = f'"{self.name}"'.encode(), f'"{self.model}"'.encode()
        body = (await request.read()).replace(there, back)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                self.target + request.path_qs.replace(self.name, self.model),
                data=body,
                headers={"content-type": request.headers.get("content-type", "application/json")},
            ) as answer,
        ):
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk.replace(back, there))
            return response


@contextmanager
def renamed(target: str, model: str, name: str) -> Iterator[str]:
    """The URL at which the engine at `target` calls its `model` `name`."""
    loop, up, urls = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> web.AppRunner:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", _Proxy(target, name, model).relay)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        return runner

    def run() -> None:
        runner = loop.run_until_complete(serve())
        up.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(10)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
