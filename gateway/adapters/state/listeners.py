"""The functions that hear the channels of the shared store in this process."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

Receive = Callable[[bytes], None]

log = structlog.get_logger("tierflow.state")


class Listeners:
    """The functions that listen to each channel of this replica."""

    def __init__(self) -> None:
        self._receivers: dict[str, list[Receive]] = {}

    @property
    def channels(self) -> Collection[str]:
        return tuple(self._receivers)

    def add(
        self, channel: str, receive: Receive, last: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """Gives the function that ends it, which may be called again. `last` is called when no
        function listens to the channel any more."""
        # A list of its own for each, so that the same function may listen twice.
        mine = [receive]
        self._receivers.setdefault(channel, []).append(mine[0])

        def stop() -> None:
            if not mine:
                return
            receivers = self._receivers[channel]
            receivers.remove(mine.pop())
            if not receivers:
                del self._receivers[channel]
                if last is not None:
                    last()

        return stop

    def deliver(self, channel: str, message: bytes) -> None:
        for receive in tuple(self._receivers.get(channel, ())):
            try:
                receive(message)
            except Exception as error:
                # One that fails takes nothing from the others, and the channel stays up.
                log.error("state_listener_failed", channel=channel, error=type(error).__name__)
