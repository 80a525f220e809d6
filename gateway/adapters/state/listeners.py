"""Who listens to which channel in this process."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

Take = Callable[[bytes], None]

log = structlog.get_logger("tierflow.state")


class Listeners:
    """The functions that listen to each channel of this replica."""

    def __init__(self) -> None:
        self._takers: dict[str, list[Take]] = {}

    @property
    def channels(self) -> Collection[str]:
        return tuple(self._takers)

    def add(
        self, channel: str, take: Take, last: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """Gives the function that ends it, which may be called again. `last` is called when nobody
        listens to the channel any more."""
        # A list of its own for each, so that the same function may listen twice.
        mine = [take]
        self._takers.setdefault(channel, []).append(mine[0])

        def stop() -> None:
            if not mine:
                return
            takers = self._takers[channel]
            takers.remove(mine.pop())
            if not takers:
                del self._takers[channel]
                if last is not None:
                    last()

        return stop

    def deliver(self, channel: str, message: bytes) -> None:
        for take in tuple(self._takers.get(channel, ())):
            try:
                take(message)
            except Exception as error:
                # One that fails takes nothing from the others, and the channel stays up.
                log.error("state_listener_failed", channel=channel, error=type(error).__name__)
