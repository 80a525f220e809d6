"""A device under the test's control: sends exactly the frames that it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import websockets
from websockets.asyncio.client import ClientConnection

from gateway.protocol.device_link import speculation as wire

TOKEN = "token-of-the-phone"
PATIENCE_S = 20.0
FAREWELL_S = 0.2
"""How long a device that leaves reads on for the gateway's own farewell. Where frames that it has
not read stand before that, it never comes to it."""
F = TypeVar("F")


class Device:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome: Any = None

    async def put(self, *frames: wire.FromDevice) -> None:
        for frame in frames:
            await self.connection.send(wire.encode(frame))

    async def get(self) -> wire.FromGateway:
        message = await asyncio.wait_for(self.connection.recv(), PATIENCE_S)
        assert isinstance(message, bytes)
        return wire.decode_from_gateway(message)

    async def expect(self, kind: type[F]) -> F:
        """The next frame, which must be of this kind."""
        frame = await self.get()
        assert isinstance(frame, kind), frame
        return frame

    async def until(self, kind: type[F]) -> F:
        """The next frame of this kind, whatever comes before."""
        while True:
            frame = await self.get()
            if isinstance(frame, kind):
                return frame

    async def answer(self, s: int) -> tuple[list[int], wire.Done]:
        """A session's ids, to its end. Positions must be without gaps; other frames may mix in."""
        ids: list[int] = []
        while True:
            frame = await self.get()
            if getattr(frame, "s", None) != s:
                continue
            if isinstance(frame, wire.Tokens):
                assert frame.p == len(ids)
                ids += frame.i
            elif isinstance(frame, wire.Done):
                return ids, frame

    async def closed(self) -> str:
        """Why the gateway closed the connection."""
        try:
            while True:
                await self.get()
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.reason if closed.rcvd is not None else ""


@asynccontextmanager
async def connected(url: str, token: str = TOKEN, greet: bool = True) -> AsyncIterator[Device]:
    """A connection to the gateway at `url`, greeted."""
    async with websockets.connect(
        url.replace("http", "ws", 1) + wire.PATH,
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
        close_timeout=FAREWELL_S,
    ) as connection:
        device = Device(connection)
        if greet:
            await device.put(wire.Hello(wire.VERSION, "tests"))
            device.welcome = await device.expect(wire.Welcome)
        yield device


def opening(s: int, tokenizer: str, prompt: list[int], tokens: int, **more: Any) -> wire.Open:
    fields: dict[str, Any] = {"tier": "cloud", **more}
    return wire.Open(
        s=s, tokenizer=tokenizer, prompt=prompt, sampling=wire.Sampling(max_tokens=tokens), **fields
    )
