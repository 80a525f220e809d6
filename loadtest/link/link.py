"""One link: a port whose connections lead to a server, over a line for either direction."""

from __future__ import annotations

import asyncio

from loadtest.link.connection import End
from loadtest.link.line import Conditions, Line

HOST = "127.0.0.1"


class Link:
    """An emulated link: a port whose connections lead to a server.

    All of them share the two lines, as the connections of one device share its radio.

    Making a connection takes no emulated time; what is sent over it does.
    """

    def __init__(
        self, *, port: int, to: tuple[str, int], conditions: Conditions, seed: int
    ) -> None:
        self.port = port
        self.to = to
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self.up, self.down = (Line(conditions, now, 2 * seed + direction) for direction in (0, 1))
        self.accepted = 0
        self._ends: set[_NearEnd] = set()
        self._server: asyncio.Server | None = None
        self._restoration: asyncio.Task[None] | None = None

    @property
    def conditions(self) -> Conditions:
        return self.up.conditions

    @conditions.setter
    def conditions(self, new: Conditions) -> None:
        self.up.conditions = self.down.conditions = new

    @property
    def open(self) -> int:
        """Number of connections at present."""
        return len(self._ends)

    async def listen(self) -> None:
        """Raises OSError when the port is taken."""
        self._server = await self._loop.create_server(lambda: _NearEnd(self), HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self, seconds: float) -> None:
        """Drop all connections, and refuse new ones for so long."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in list(self._ends):
            end.drop()
        if self._restoration is not None:
            self._restoration.cancel()
        self._restoration = self._loop.create_task(self._restore(seconds))

    async def _restore(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.listen()

    def close(self) -> None:
        if self._restoration is not None:
            self._restoration.cancel()
        if self._server is not None:
            self._server.close()
        for end in list(self._ends):
            end.drop()

    def add(self, end: _NearEnd) -> None:
        self._ends.add(end)
        self.accepted += 1

    def remove(self, end: _NearEnd) -> None:
        self._ends.discard(end)


class _NearEnd(End):
    """The near end of a connection, which opens the far end."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._opening: asyncio.Task[None] | None = None
        super().__init__(link.up, asyncio.get_running_loop())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._link.add(self)
        self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        far = End(self._link.down, self._loop)
        try:
            await self._loop.create_connection(lambda: far, *self._link.to)
        except OSError:
            self.abort()
            return
        if self.transport is None:
            far.abort()
        else:
            self.connect(far)

    def drop(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self.other is not None:
            self.other.abort()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._link.remove(self)
