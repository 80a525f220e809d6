"""Members under the test's control, over real WebSockets: they answer, refuse, stall, send
megabytes, or vanish.

    async with member(url, answers("It is ", "7")) as phone:
        ...                                     # phone.works, phone.recalled, phone.registered

A behaviour is called for each piece of work, in a task of its own, and says what it wants. It may
be changed while the member lives (`phone.behaviour = refuses("hot")`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets

from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from tests.integration.device import PATIENCE_S, TOKEN, Device, connected

PING_S = 0.3

Behaviour = Callable[["Member", work.Work], Awaitable[None]]


class Member:
    """`errors` are the codes that the gateway sent; `closed` why it closed the connection (None: it
    is open). `silent`: it pings no more; `deaf`: it goes on with what was recalled."""

    def __init__(self, device: Device, behaviour: Behaviour) -> None:
        self.device = device
        self.behaviour = behaviour
        self.works: list[work.Work] = []
        self.recalled: list[int] = []
        self.errors: list[str] = []
        self.registered: work.Registered | None = None
        self.closed: str | None = None
        self.silent = False
        self.deaf = False
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._news = asyncio.Event()

    async def put(self, *frames: wire.FromDevice) -> None:
        await self.device.put(*frames)

    async def until(self, look: Callable[[Member], object]) -> None:
        """Wait until it holds; looked at whenever a frame has come."""
        async with asyncio.timeout(PATIENCE_S):
            while not look(self):
                self._news.clear()
                await self._news.wait()

    async def state(self, **condition: Any) -> None:
        await self.put(work.State(work.Condition(**condition)))

    def vanish(self) -> None:
        """The connection breaks, without a farewell."""
        self.device.connection.transport.abort()

    async def listen(self) -> None:
        """Take frames until the connection is over, and ping in between."""
        pinging = asyncio.create_task(self._ping())
        try:
            while True:
                self._take(await self._get())
                self._news.set()
        except (websockets.ConnectionClosed, OSError) as closed:
            received = getattr(closed, "rcvd", None)
            self.closed = received.reason if received is not None else ""
        finally:
            pinging.cancel()
            for task in self._tasks.values():
                task.cancel()
            self._news.set()

    async def _get(self) -> wire.FromGateway:
        message = await self.device.connection.recv()
        assert isinstance(message, bytes)
        return wire.decode_from_gateway(message)

    def _take(self, frame: wire.FromGateway) -> None:
        if isinstance(frame, work.Registered):
            self.registered = frame
        elif isinstance(frame, work.Work):
            self.works.append(frame)
            self._tasks[frame.w] = asyncio.create_task(self._do(frame))
        elif isinstance(frame, work.Recall):
            self.recalled.append(frame.w)
            task = self._tasks.pop(frame.w, None)
            if task is not None and not self.deaf:
                task.cancel()
        elif isinstance(frame, wire.Error):
            self.errors.append(frame.code)

    async def _do(self, frame: work.Work) -> None:
        try:
            await self.behaviour(self, frame)
        except (websockets.ConnectionClosed, OSError):
            pass

    async def _ping(self) -> None:
        n = 0
        while True:
            await asyncio.sleep(PING_S)
            if not self.silent:
                n += 1
                try:
                    await self.put(wire.Ping(n=n))
                except (websockets.ConnectionClosed, OSError):
                    return


def registration(**fields: Any) -> work.Register:
    """What a member says of itself, if the test does not care."""
    given: dict[str, Any] = {
        "instance": secrets.token_hex(8),
        "description": "knows sums",
        "models": [work.Model(name="rill-device", family="rill", parameters=100_000)],
        "abilities": ["generate", "revise"],
        "max_work": 4,
    }
    return work.Register(**(given | fields))


@asynccontextmanager
async def member(
    url: str, behaviour: Behaviour, token: str = TOKEN, register: work.Register | None = None
) -> AsyncIterator[Member]:
    """Registered, or refused: then `closed` says why."""
    async with connected(url, token) as device:
        found = Member(device, behaviour)
        listening = asyncio.create_task(found.listen())
        try:
            await found.put(register or registration())
            await found.until(lambda m: m.registered or m.closed is not None)
            yield found
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


# Behaviours.


def answers(*pieces: str, pause_s: float = 0.0, logprob: float | None = -0.1) -> Behaviour:
    """Each piece is a token."""

    async def behave(member: Member, given: work.Work) -> None:
        for piece in pieces:
            await asyncio.sleep(pause_s)
            await member.put(work.Piece(given.w, piece, 1))
        await member.put(
            work.Finished(
                w=given.w,
                reason="stop",
                prompt_tokens=10,
                completion_tokens=len(pieces),
                logprob=logprob,
            )
        )

    return behave


def answers_with(answer: Callable[[work.Work], str], pause_s: float = 0.0) -> Behaviour:
    """By what it is asked; `answer` gives the whole text, which is sent word by word."""

    async def behave(member: Member, given: work.Work) -> None:
        words = answer(given).split(" ")
        pieces = [word if n == 0 else f" {word}" for n, word in enumerate(words)]
        await answers(*pieces, pause_s=pause_s)(member, given)

    return behave


def refuses(code: work.RefusalCode, retry_s: float = 0.0) -> Behaviour:
    async def behave(member: Member, given: work.Work) -> None:
        await member.put(work.Refused(w=given.w, code=code, message="not now", retry_s=retry_s))

    return behave


def stalls(*pieces: str) -> Behaviour:
    """Says this much, and then nothing more, ever."""

    async def behave(member: Member, given: work.Work) -> None:
        for piece in pieces:
            await member.put(work.Piece(given.w, piece, 1))
        await asyncio.Event().wait()

    return behave


def floods(text: str = "x" * 50_000, times: int = 100) -> Behaviour:
    """Megabytes, whatever the budget was and whoever calls it back."""

    async def behave(member: Member, given: work.Work) -> None:
        member.deaf = True
        for _ in range(times):
            await member.put(work.Piece(given.w, text, 1))
        await member.put(
            work.Finished(w=given.w, reason="stop", prompt_tokens=10, completion_tokens=times)
        )

    return behave


def vanishes(*pieces: str) -> Behaviour:
    """Says this much, and then its connection breaks."""

    async def behave(member: Member, given: work.Work) -> None:
        for piece in pieces:
            await member.put(work.Piece(given.w, piece, 1))
        member.vanish()

    return behave
