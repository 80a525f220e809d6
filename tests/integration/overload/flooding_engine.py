"""An engine whose streams never end and come as fast as they are taken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "' + b"x" * 4000 + b'"}}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\nconnection: close\r\n\r\n"


@dataclass
class FloodingEngine:
    """For a pool with `probe: answers`. `sent`: bytes of streams."""

    url: str = ""
    sent: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                writer.write(HEAD % b"text/event-stream")
                while True:
                    writer.write(EVENT)
                    await writer.drain()
                    self.sent += len(EVENT)
            writer.write(HEAD % b"application/json" + b"{}")
            await writer.drain()
        writer.close()


@contextmanager
def flooding_engine() -> Iterator[FloodingEngine]:
    engine, loop = FloodingEngine(), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(engine.answer, "127.0.0.1", 0))
    engine.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield engine
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        server.close()
        loop.close()
