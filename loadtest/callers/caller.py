"""A caller: asks one question, and does again what a client may do again by itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from gateway.protocol.backoff import pause_s
from gateway.protocol.headers import LAST_EVENT_ID, STREAM
from gateway.protocol.paths import STREAMS
from loadtest.callers.answers import last_event_id
from loadtest.callers.questions import Question
from loadtest.callers.verdicts import Attempt
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import BrokenAnswer, Connection, Exchange, Target, get, post

PATIENCE_S = 60.0
"""A caller waits for an answer no longer than this."""
REPETITIONS = 2
"""How often a request is repeated that got not even a status, as OpenAI's clients do."""
RETURNS = 12
"""How often a caller over a lossy link tries to reach the gateway, or comes back for the rest."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 4.0
UNAVAILABLE = 503


@dataclass(slots=True, kw_only=True)
class Call:
    """A question that was asked, from its first byte to its end. Times are monotonic seconds."""

    question: Question
    began: float
    ended: float = 0.0
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def first_s(self) -> float | None:
        """Seconds until the answer began; None where it did not."""
        pieces = (attempt.exchange.pieces for attempt in self.attempts)
        first = next((piece[0][0] for piece in pieces if piece), None)
        return None if first is None else first - self.began

    @property
    def stream(self) -> str:
        """The id of the stream that the caller can come back to; "" without one."""
        found = (attempt.exchange.headers.get(STREAM, "") for attempt in self.attempts)
        return next(filter(None, found), "")

    @property
    def last_event_id(self) -> str:
        found = (last_event_id(attempt.exchange.body) for attempt in reversed(self.attempts))
        return next(filter(None, found), "")


class Caller:
    """A client with a connection of its own, which it keeps while the server does.

    A request that got not even a status is repeated. Where the question's kind says so, the caller
    comes back for the rest of a stream that broke.
    """

    def __init__(self, target: Target, random: Random) -> None:
        self._target = target
        self._random = random
        self._connection: Connection | None = None

    async def ask(self, question: Question) -> Call:
        """Never raises for what a server or a link does."""
        call = Call(question=question, began=monotonic())
        while True:
            call.attempts.append(await self._attempt(question, call))
            if not _goes_on(call):
                call.ended = monotonic()
                return call
            uniform, failures = self._random.random(), len(call.attempts)
            await asyncio.sleep(
                pause_s(failures, uniform, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
            )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _attempt(self, question: Question, call: Call) -> Attempt:
        exchange, broken = Exchange(sent=monotonic()), ""
        try:
            async with asyncio.timeout_at(_loop_time(call.began + PATIENCE_S)):
                if self._connection is None or not self._connection.is_open:
                    self._connection = await Connection.open(self._target)
                exchange = await self._connection.exchange(_request(question, call))
        except BrokenAnswer as failure:
            exchange, broken = failure.exchange, str(failure)
        except BenchmarkFailure as failure:
            broken = str(failure)
        except TimeoutError:
            if self._connection is not None:
                exchange = self._connection.under_way or exchange
            broken = f"no end within {PATIENCE_S:g} s"
        if broken:
            self.close()
        return Attempt(exchange=exchange, broken=broken)


def _loop_time(at: float) -> float:
    return asyncio.get_running_loop().time() + at - monotonic()


def _request(question: Question, call: Call) -> bytes:
    """The question, or the way back to its stream."""
    if not call.stream:
        return post(question.kind.path, question.body, question.headers)
    last = call.last_event_id
    return get(f"{STREAMS}/{call.stream}", {LAST_EVENT_ID: last} if last else None)


def _goes_on(call: Call) -> bool:
    last = call.attempts[-1]
    if monotonic() > call.began + PATIENCE_S:
        return False
    if call.stream and len(call.attempts) <= RETURNS:
        return bool(last.broken) or (last.exchange.status == UNAVAILABLE)
    if last.broken and last.exchange.status == 0:
        most = RETURNS if call.question.kind.returns else REPETITIONS
        return len(call.attempts) <= most
    return False
