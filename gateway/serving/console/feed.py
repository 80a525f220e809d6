"""What has just happened, for the consoles that look: nothing is made or kept while nobody does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

import structlog

from gateway.core.ports import Clock

log = structlog.get_logger("tierflow.console")

KEPT = 256
"""Events that a console which comes, or comes back, is told at most."""
GRACE_S = 30.0
"""So long what happens is kept for a console that has lost its connection."""


class Feed:
    """The events of one gateway's life, each a JSON text, numbered from 1. `name` tells this life
    from another: numbers begin anew with each. At most `most` consoles look at a time."""

    def __init__(self, *, name: str, clock: Clock, most: int, kept: int = KEPT) -> None:
        self.name = name
        self._clock = clock
        self._most = most
        self._events: deque[tuple[int, bytes]] = deque(maxlen=kept)
        self._number = 0
        self._watches: set[Watch] = set()
        self._left_at = float("-inf")

    @property
    def full(self) -> bool:
        return len(self._watches) >= self._most

    def put(self, make: Callable[[], bytes]) -> None:
        """An event, which is made only if somebody looks. Neither waits nor raises."""
        if not self._watches:
            if self._events and self._clock.now() > self._left_at + GRACE_S:
                self._events.clear()
            if not self._events:
                return
        try:
            made = make()
        except Exception as error:
            # What can't be shown must not cost a request its end.
            log.warning("console_event_lost", error=type(error).__name__)
            return
        self._number += 1
        self._events.append((self._number, made))
        for watch in self._watches:
            watch.wake()

    def watch(self, after: int) -> Watch:
        """Look from the event behind number `after` on; 0: from the oldest that is kept."""
        return Watch(self, after)

    def behind(self, number: int) -> Sequence[tuple[int, bytes]]:
        """The events behind this one that are kept."""
        return [event for event in self._events if event[0] > number]

    def come(self, watch: Watch) -> None:
        self._watches.add(watch)

    def leave(self, watch: Watch) -> None:
        self._watches.discard(watch)
        if not self._watches:
            self._left_at = self._clock.now()


class Watch:
    """One console that looks, while its block runs."""

    def __init__(self, feed: Feed, after: int) -> None:
        self._feed = feed
        self._seen = after
        self._news = asyncio.Event()

    def __enter__(self) -> Watch:
        self._feed.come(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._feed.leave(self)

    def wake(self) -> None:
        self._news.set()

    async def news(self, within_s: float) -> Sequence[tuple[int, bytes]]:
        """The events that it has not seen yet, as soon as there are some; none after `within_s`."""
        events = self._feed.behind(self._seen)
        if not events:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._news.wait()
            events = self._feed.behind(self._seen)
        if events:
            self._seen = events[-1][0]
        return events
