"""A gateway in the test's own event loop, whose every word the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from services.device_agent.link.link import Link

PATIENCE_S = 20.0
MODEL = "rill-cloud"
STEP_S = 0.001


def answer_ids(prompt: Sequence[int], count: int) -> list[int]:
    """Each token depends on the whole text before it, so an answer can be continued anywhere."""
    ids: list[int] = []
    total = sum(prompt)
    for _ in range(count):
        ids.append((3 * total + 1) % 997)
        total += ids[-1]
    return ids


@dataclass
class ScriptedGateway:
    """`url` is where it serves. `pauses_at`: sessions wait after so many tokens while `gate` is
    cleared. `status`: it refuses connections with it. `offers` are those of its welcome."""

    tokenizer: str = ""
    url: str = ""
    status: HTTPStatus | None = None
    pauses_at: int = 10**9
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    offers: list[wire.Offer] = field(default_factory=list)
    opened: list[wire.Open] = field(default_factory=list)
    connections: set[ServerConnection] = field(default_factory=set)
    _server: Server | None = None
    _port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.offers = [wire.Offer(tier="cloud", model=MODEL, tokenizer=self.tokenizer)]

    async def start(self) -> None:
        """At the same port as before."""
        self._server = await serve(
            self._serve, "127.0.0.1", self._port, process_request=self._process_request
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def kill(self) -> None:
        """No word, and no new connection."""
        assert self._server is not None
        for connection in list(self.connections):
            connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()
        for task in self._tasks:
            task.cancel()

    async def tell_all(self, *frames: wire.FromGateway) -> None:
        for connection in list(self.connections):
            for frame in frames:
                await connection.send(wire.encode(frame))

    async def drain(self) -> None:
        await self.tell_all(wire.Error(code=wire.DRAINING, message="go elsewhere"))
        self.status = HTTPStatus.SERVICE_UNAVAILABLE

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(self.status, "no\n") if self.status is not None else None

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections.add(connection)
        try:
            with suppress(ConnectionClosed):
                async for message in connection:
                    assert isinstance(message, bytes)
                    await self._handle(connection, wire.decode_from_device(message))
        finally:
            self.connections.discard(connection)

    async def _handle(self, connection: ServerConnection, frame: wire.FromDevice) -> None:
        async def put(reply: wire.FromGateway) -> None:
            await connection.send(wire.encode(reply))

        if isinstance(frame, wire.Hello):
            await put(
                wire.Welcome(
                    version=1, device="phone", lease_s=10, heartbeat_s=1, offers=self.offers
                )
            )
        elif isinstance(frame, wire.Ping):
            await put(wire.Pong(frame.n, self.offers))
        elif isinstance(frame, work.Register):
            await put(work.Registered("phone", 2))
        elif isinstance(frame, wire.Open):
            self.opened.append(frame)
            task = asyncio.create_task(self._answer(connection, frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: ServerConnection, frame: wire.Open) -> None:
        with suppress(ConnectionClosed):
            await self._speak(connection, frame)

    async def _speak(self, connection: ServerConnection, frame: wire.Open) -> None:
        async def put(reply: wire.FromGateway) -> None:
            await connection.send(wire.encode(reply))

        verified = list(frame.verified)
        count = (frame.sampling.max_tokens or 0) - len(verified)
        await put(wire.Opened(s=frame.s, model=MODEL, endpoint=self.url))
        for token in answer_ids([*frame.prompt, *verified], count):
            if len(verified) >= self.pauses_at:
                self.paused.set()
                await self.gate.wait()
            await put(wire.Tokens(s=frame.s, p=len(verified), i=[token]))
            verified.append(token)
            await asyncio.sleep(STEP_S)
        await put(
            wire.Done(
                s=frame.s,
                reason="length",
                prompt_tokens=len(frame.prompt),
                completion_tokens=len(verified),
            )
        )


@asynccontextmanager
async def linked(*gateways: ScriptedGateway, member: Any = None) -> AsyncIterator[Link]:
    """A link that runs, and is up with the first of these gateways."""

    async def token() -> str:
        return "token"

    for gateway in gateways:
        await gateway.start()
    link = Link(
        gateways=[gateway.url for gateway in gateways],
        token=token,
        agent="tests",
        uniform=lambda: 0.0,
    )
    link.member = member
    running = asyncio.create_task(link.run())
    try:
        await soon(lambda: link.up)
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for gateway in gateways:
            await gateway.kill()


async def soon(look: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not look():
            await asyncio.sleep(0.005)
