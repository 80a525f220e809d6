"""Stop texts in an answer that several engines write one after the other.

Each engine sees its own part alone, so neither can find a stop text that lies across the switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class StopScanner:
    """A scanner that cuts a text at the first stop text in it. `feed` it text in any pieces:
    what comes out, in order, is the text up to the first stop.

    As long as a stop text may have begun, what could belong to it is held back; `rest` gives that
    at the end. `stopped` is the stop text that was found. `include`: it belongs to the text.
    """

    stops: Sequence[str]
    include: bool = False
    stopped: str | None = None
    _held: str = ""

    def feed(self, text: str) -> str:
        if self.stopped is not None:
            return ""
        if not self.stops:
            return text
        data = self._held + text
        places = [(data.find(stop), stop) for stop in self.stops]
        # The one that is complete first ends the answer, as it would were letters to come alone.
        hits = [(place + len(stop), place, stop) for place, stop in places if place >= 0]
        if hits:
            end, place, self.stopped = min(hits)
            self._held = ""
            return data[: end if self.include else place]
        keep = max(_overlap(data, stop) for stop in self.stops)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def rest(self) -> str:
        held, self._held = self._held, ""
        return held


def _overlap(data: str, stop: str) -> int:
    """How long the longest end of `data` is that begins `stop`."""
    for size in range(min(len(data), len(stop) - 1), 0, -1):
        if stop.startswith(data[-size:]):
            return size
    return 0
