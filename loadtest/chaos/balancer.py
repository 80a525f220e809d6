"""python -m loadtest.chaos.balancer: a TCP balancer before replicas, as a Service of Kubernetes.

A new connection goes to the next replica that is ready (its `/ready` answers 200), to another one
where that one refuses it, and to any where none is ready. A connection that is made stays where it
is.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import cast

import uvloop

from loadtest.measure.processes import HOST

LOOK_EVERY_S = 0.25
LOOK_TIMEOUT_S = 1.0
PROBE = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Replicas:
    """The replicas by their ports, and which of them are ready."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = tuple(ports)
        self._ready = set(ports)
        self._turns: Iterator[int] = itertools.count()

    def in_turn(self) -> list[int]:
        """All ports: the ready ones first, beginning with the one whose turn it is."""
        turn = next(self._turns) % len(self._ports)
        ports = self._ports[turn:] + self._ports[:turn]
        return sorted(ports, key=lambda port: port not in self._ready)

    async def watch(self) -> None:
        """Look at every replica, again and again."""
        while True:
            async with asyncio.TaskGroup() as group:
                for port in self._ports:
                    group.create_task(self._look(port))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, port: int) -> None:
        if await _is_ready(port):
            self._ready.add(port)
        else:
            self._ready.discard(port)


async def _is_ready(port: int) -> bool:
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(PROBE)
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


class End(asyncio.Protocol):
    """An end of a balanced connection: what it receives goes to the other end."""

    def __init__(self) -> None:
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        """What the client sent before its replica was found."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def join(self, other: End) -> None:
        """The other end is there: pass on what has come so far."""
        self.other, other.other = other, self
        for data in self._early:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        elif self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.other is not None and self.other.transport is not None:
            # What was received before the end still reaches the other side.
            self.other.transport.close()


class ClientEnd(End):
    """The client's end, which finds a replica for the connection."""

    def __init__(self, replicas: Replicas) -> None:
        super().__init__()
        self._replicas = replicas
        self._search: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._search = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        for port in self._replicas.in_turn():
            try:
                _, end = await loop.create_connection(End, HOST, port)
            except OSError:
                continue
            if self.transport is not None:
                self.join(end)
            elif end.transport is not None:
                end.transport.abort()
            return
        if self.transport is not None:
            self.transport.abort()


async def balance(listen: int, to: Sequence[int]) -> None:
    """Balance until SIGINT or SIGTERM. Raises OSError when the port is taken."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    replicas = Replicas(to)
    server = await loop.create_server(lambda: ClientEnd(replicas), HOST, listen, backlog=2048)
    watching = asyncio.create_task(replicas.watch())
    print("ready", flush=True)
    await stopped.wait()
    watching.cancel()
    server.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.chaos.balancer")
    parser.add_argument("--listen", type=int, required=True, metavar="PORT")
    parser.add_argument("--to", type=int, required=True, action="append", metavar="PORT")
    arguments = parser.parse_args()
    try:
        uvloop.run(balance(arguments.listen, arguments.to))
    except OSError as error:
        print(f"balancer: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
