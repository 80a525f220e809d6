"""The `StateStore` in Redis."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from redis.exceptions import RedisError, ResponseError

from gateway.adapters.state.redis import failures
from gateway.adapters.state.redis.cluster import Cluster
from gateway.adapters.state.redis.connection import MAX_CONNECTIONS, Target
from gateway.adapters.state.redis.functions import Library, call_for, library
from gateway.adapters.state.redis.keys import Keys
from gateway.adapters.state.redis.route import Command, OneServer, Route
from gateway.adapters.state.redis.subscriptions import Subscriptions
from gateway.core.state import bounds
from gateway.core.state.operations import Hold, Operation

LOOKS_IN_A_CLUSTER = 16
"""Slots that are tried to see whether all of it is there: with three masters, one that is away is
missed once in six hundred times."""
LOOK_TTL_S = 10.0

Result = TypeVar("Result")


class RedisStore:
    """A `StateStore` on Redis. `start` and `stop` inside the event loop. Every call ends within
    `timeout_s`, whatever the server does, and raises StateLost where it did not answer; what was
    asked may yet be done."""

    def __init__(
        self,
        *,
        target: Target,
        uniform: Callable[[], float],
        timeout_s: float,
        prefix: str,
        max_value_bytes: int,
        functions: Library | None = None,
    ) -> None:
        self.target = target
        self._timeout_s = timeout_s
        self._max_value = max_value_bytes
        self._keys = Keys(prefix)
        self.functions = functions or library()
        self._route: Route = (
            Cluster(target, timeout_s) if target.cluster else OneServer(target, timeout_s)
        )
        self._subscriptions = Subscriptions(
            route=self._route, keys=self._keys, timeout_s=timeout_s, uniform=uniform
        )
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._name = secrets.token_hex(8)

    def start(self) -> None:
        self._subscriptions.start()

    async def stop(self) -> None:
        await self._subscriptions.stop()
        await self._route.close()

    def problem(self) -> str | None:
        return self._subscriptions.problem

    async def run(self, *operations: Operation) -> list[Any]:
        for operation in operations:
            bounds.check(operation, self._max_value)
        if not operations:
            return []
        calls = [call_for(operation, self._keys) for operation in operations]
        commands = [
            Command(
                call.keys[0] if call.keys else "",
                ("FCALL", self.functions.name, str(len(call.keys)), *call.keys)
                + (call.function, *call.arguments),
            )
            for call in calls
        ]
        replies = await self._in_time(lambda: self._answers(commands))
        return [call.read(reply) for call, reply in zip(calls, replies, strict=True)]

    async def look(self) -> None:
        """Whether it can be used: it is written to as any caller would. Raises StateLost."""
        places = LOOKS_IN_A_CLUSTER if self.target.cluster else 1
        await self.run(
            *(
                Hold(kind=f"look-{n}", name="look", holder=self._name, value=b"", ttl_s=LOOK_TTL_S)
                for n in range(places)
            )
        )

    async def publish(self, channel: str, message: bytes) -> None:
        if len(message) > self._max_value:
            raise bounds.too_large("message", len(message), self._max_value)
        key = self._keys.channel(channel)
        # In a cluster always by the same node: what goes by two may overtake.
        command = Command(key, ("PUBLISH", key, message))
        await self._in_time(lambda: self._replies([command]))

    async def listen(self, channel: str, receive: Callable[[bytes], None]) -> Callable[[], None]:
        return await self._subscriptions.listen(channel, receive)

    async def _answers(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip; two more where the server does not know our functions yet."""
        try:
            return await self._replies(commands)
        except _FunctionMissing as missing:
            await self._route.load(self.functions)
            replies = missing.replies
        unknown = [n for n, reply in enumerate(replies) if failures.function_missing(reply)]
        again = await self._replies([commands[n] for n in unknown])
        for n, reply in zip(unknown, again, strict=True):
            replies[n] = reply
        return replies

    async def _replies(self, commands: Sequence[Command]) -> list[Any]:
        replies = await self._route.send(commands)
        errors = [reply for reply in replies if isinstance(reply, ResponseError)]
        for error in errors:
            if not failures.function_missing(error):
                raise error
        if errors:
            raise _FunctionMissing(replies)
        return replies

    async def _in_time(self, work: Callable[[], Awaitable[Result]]) -> Result:
        try:
            async with asyncio.timeout(self._timeout_s), self._turns:
                return await work()
        except _FunctionMissing as error:
            problem = failures.refused(ResponseError("ERR function not found"), str(self.target))
            raise problem from error
        except ResponseError as error:
            self._route.failed()
            raise failures.refused(error, str(self.target)) from error
        except (RedisError, OSError, TimeoutError) as error:
            self._route.failed()
            raise failures.lost(error, str(self.target)) from error


class _FunctionMissing(Exception):
    def __init__(self, replies: list[Any]) -> None:
        super().__init__()
        self.replies = replies
