"""Load in a closed loop: each connection sends its next request when its last answer is there."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import uvloop

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import Connection, Exchange, Target, refusal
from loadtest.measure.statistics import percentile

T = TypeVar("T")
GRACE_S = 60.0
"""How long the answers under way at a window's end may still take."""


@dataclass(frozen=True, slots=True)
class Window:
    """The exchanges that were sent from `start` to `end` (seconds, monotonic) and answered."""

    exchanges: Sequence[Exchange]
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """From the start until the last answer was there."""
        return max(exchange.done for exchange in self.exchanges) - self.start

    @property
    def rate(self) -> float:
        """Answers per second under full load: until the last one before `end`.

        An engine answers batches in step, so to divide by the whole window would round down to
        whole batches.
        """
        times = [exchange.done for exchange in self.exchanges if exchange.done <= self.end]
        if not times:
            raise BenchmarkFailure("no request was answered within the window")
        return len(times) / (max(times) - self.start)

    def latency(self, share: float) -> float:
        """Percentile of the whole answers' times, in seconds."""
        return percentile([exchange.latency for exchange in self.exchanges], share)

    def first_piece(self, share: float) -> float:
        """Percentile of the times until the body began, in seconds."""
        return percentile([exchange.first_piece for exchange in self.exchanges], share)


def closed_loop(
    target: Target,
    requests: Sequence[bytes],
    *,
    concurrency: int,
    seconds: float,
    stagger_s: float = 0.0,
) -> Window:
    """Keep `concurrency` requests under way; they take the requests in turn.

    Connection i starts after i * `stagger_s` seconds, and none sends anything after `seconds`.
    Raises BenchmarkFailure for any answer but a 200.
    """
    return run(_closed_loop(target, requests, concurrency, seconds, stagger_s))


async def _closed_loop(
    target: Target, requests: Sequence[bytes], concurrency: int, seconds: float, stagger_s: float
) -> Window:
    async with AsyncExitStack() as stack:
        connections = [await opened(stack, target) for _ in range(concurrency)]
        for connection in connections[:1]:
            checked(await connection.exchange(requests[0]))
        start = monotonic()
        end = start + seconds

        async def worker(index: int, connection: Connection) -> list[Exchange]:
            done: list[Exchange] = []
            await asyncio.sleep(index * stagger_s)
            while monotonic() < end:
                exchange = await connection.exchange(requests[index % len(requests)])
                done.append(checked(exchange))
                index += concurrency
            return done

        async with asyncio.timeout(seconds + GRACE_S):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(worker(i, c)) for i, c in enumerate(connections)]
    return Window([e for task in tasks for e in task.result()], start, end)


@dataclass(frozen=True, slots=True)
class RequestSeries:
    """A series of requests that go to one target, one at a time."""

    target: Target
    requests: Sequence[bytes]


def alternating(series: Sequence[RequestSeries], *, rounds: int) -> list[Window]:
    """One request at a time, from each series in turn: the sharpest comparison of latencies.

    Every other round runs backwards; round i takes each series' request i. The windows come in
    the order of `series`; their rates mean nothing. Raises BenchmarkFailure for any answer but
    a 200.
    """
    return run(_alternating(series, rounds))


async def _alternating(series: Sequence[RequestSeries], rounds: int) -> list[Window]:
    async with AsyncExitStack() as stack:
        connections = [await opened(stack, side.target) for side in series]
        for side, connection in zip(series, connections, strict=True):
            checked(await connection.exchange(side.requests[0]))
        exchanges: list[list[Exchange]] = [[] for _ in series]
        start = monotonic()
        for number in range(rounds):
            order = range(len(series)) if number % 2 == 0 else reversed(range(len(series)))
            for index in order:
                requests = series[index].requests
                request = requests[number % len(requests)]
                async with asyncio.timeout(GRACE_S):
                    exchanges[index].append(checked(await connections[index].exchange(request)))
        end = monotonic()
    return [Window(answered, start, end) for answered in exchanges]


async def opened(stack: AsyncExitStack, target: Target) -> Connection:
    """A connection that is closed with the stack."""
    connection = await Connection.open(target)
    stack.callback(connection.close)
    return connection


def checked(exchange: Exchange) -> Exchange:
    """The exchange, when it has been answered with 200. Raises BenchmarkFailure."""
    if exchange.status != 200:
        raise refusal(exchange.status, exchange.body)
    return exchange


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a measurement on an event loop of its own, without collections in the middle of it."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(work)
    except* BenchmarkFailure as group:
        raise _first(group) from None
    except* TimeoutError:
        raise BenchmarkFailure("an answer took too long: the measurement was given up") from None
    finally:
        gc.enable()


def _first(group: BaseExceptionGroup[BenchmarkFailure]) -> BenchmarkFailure:
    failure = group.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
