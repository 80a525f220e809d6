"""One session's end of the link: frames that have come, and word when more do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.protocol import speculation as wire

SessionFrame = wire.Opened | wire.Tokens | wire.Done | wire.Error


class Channel:
    """`lost` says why no more frames can come; None while they can."""

    def __init__(self, number: int, leave: Callable[[], None]) -> None:
        """`leave` gives the session's place back."""
        self.number = number
        self.leave = leave
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

    def take(self) -> list[SessionFrame]:
        """All that has come. What came before a loss is still given."""
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
