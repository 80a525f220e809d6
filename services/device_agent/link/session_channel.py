"""The frames of one session, on their way from the link to the answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.protocol.device_link import speculation as wire
from services.device_agent.drafting.rate_limit import DraftRateLimit

SessionFrame = wire.Opened | wire.Tokens | wire.Ahead | wire.Done | wire.Error


class SessionChannel:
    """The two ways of one session: the queue of its frames from the gateway, and `send` to it.

    `lost` says why no more can come; None: they can. `rate_limit` bounds the drafts of all sessions
    of its connection, `release` gives the session's place there back.
    """

    def __init__(
        self,
        *,
        number: int,
        release: Callable[[], None],
        send: Callable[[wire.FromDevice], Awaitable[None]],
        rate_limit: DraftRateLimit,
    ) -> None:
        self.number = number
        self.release = release
        self.send = send
        self.rate_limit = rate_limit
        self.lost: str | None = None
        self._frames: deque[SessionFrame] = deque()
        self._news = asyncio.Event()

    @property
    def has_news(self) -> bool:
        return self._news.is_set()

    def put(self, frame: SessionFrame) -> None:
        self._frames.append(frame)
        self._news.set()

    def lose(self, problem: str) -> None:
        self.lost = problem
        self._news.set()

    def receive(self) -> list[SessionFrame]:
        """All frames that have come, also those that came before a loss."""
        frames = list(self._frames)
        self._frames.clear()
        if self.lost is None:
            self._news.clear()
        return frames

    async def wait(self, seconds: float) -> bool:
        """Until there is news; False if there was none for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True
