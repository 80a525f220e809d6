"""One connection on which all channels of this replica are heard. It comes back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from gateway.adapters.state.listeners import Listeners, Receive
from gateway.adapters.state.redis.failures import words
from gateway.adapters.state.redis.keys import Keys
from gateway.adapters.state.redis.route import Route
from gateway.protocol.backoff import pause_s

PING_EVERY_S = 1.0
SILENT_AFTER_S = 3.0
"""Without even an answer to a ping: a server that hangs keeps its connections open."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0

log = structlog.get_logger("tierflow.state")


class Subscriptions:
    """The connection on which this replica hears its channels. `problem` is why nothing is heard
    now. Messages sent meanwhile are lost."""

    def __init__(
        self, *, route: Route, keys: Keys, timeout_s: float, uniform: Callable[[], float]
    ) -> None:
        self._route, self._keys = route, keys
        self._timeout_s = timeout_s
        self._uniform = uniform
        self._listeners = Listeners()
        self._confirmed: dict[str, asyncio.Event] = {}
        self._commands: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_up())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def listen(self, channel: str, receive: Receive) -> Callable[[], None]:
        """Returns when the server has confirmed it, or at once while it can't be reached: then it
        counts from the return on."""
        key = self._keys.channel(channel)
        stop = self._listeners.add(key, receive, last=lambda: self._end(key))
        confirmed = self._confirmed.setdefault(key, asyncio.Event())
        self._commands.put_nowait(("SUBSCRIBE", key))
        self._wanted.set()
        if self.problem is None:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await confirmed.wait()
            except TimeoutError:
                # The loss shows where messages are read.
                pass
        return stop

    def _end(self, key: str) -> None:
        self._confirmed.pop(key, None)
        self._commands.put_nowait(("UNSUBSCRIBE", key))

    async def _keep_up(self) -> None:
        failures = 0
        while True:
            await self._wanted.wait()
            try:
                async with asyncio.timeout(self._timeout_s * 2) as connecting:
                    async with self._route.listening() as connection:
                        connecting.reschedule(None)
                        await self._hear(connection)
            except Exception as error:
                # Whatever it was: who listens here counts on it.
                if self.problem is None:
                    failures = 0
                self._lost(error)
            failures += 1
            await asyncio.sleep(
                pause_s(failures, self._uniform(), first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
            )

    async def _hear(self, connection: AbstractConnection) -> None:
        """Until the connection ends, which it tells by an error."""
        self._commands = asyncio.Queue()
        for channel in self._listeners.channels:
            self._commands.put_nowait(("SUBSCRIBE", channel))
        tasks = [
            asyncio.create_task(self._read(connection)),
            asyncio.create_task(self._write(connection)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for confirmed in self._confirmed.values():
                confirmed.clear()

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            command: tuple[str, ...] = ("PING",)
            try:
                async with asyncio.timeout(PING_EVERY_S):
                    command = await self._commands.get()
            except TimeoutError:
                pass
            await connection.send_command(*command, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            async with asyncio.timeout(SILENT_AFTER_S):
                reply = await connection.read_response()
            if isinstance(reply, list):
                self._deliver(reply)

    def _deliver(self, reply: Sequence[bytes]) -> None:
        kind, channel = reply[0], reply[1].decode()
        if kind == b"message":
            self._listeners.deliver(channel, reply[2])
        elif kind == b"subscribe":
            if self.problem is not None:
                log.info("state_listening_again")
            self.problem = None
            if channel in self._confirmed:
                self._confirmed[channel].set()

    def _lost(self, error: Exception) -> None:
        if isinstance(error, RedisError | OSError | TimeoutError):
            problem = f"messages of other replicas are not heard: {words(error)}"
        else:
            problem = f"messages of other replicas are not heard: {type(error).__name__}"
        if self.problem is None:
            log.warning("state_not_listening", problem=problem)
        self.problem = problem
