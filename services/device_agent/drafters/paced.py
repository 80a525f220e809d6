"""A drafter that takes its time, to measure on one machine what slower devices are like."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from services.device_agent.drafters.port import Chooser, Drafter, DraftStream, Guess


class PacedDrafter:
    """No token takes less than `least_step_s`. It sleeps, so that others have the processor."""

    def __init__(self, drafter: Drafter, least_step_s: float) -> None:
        self._drafter = drafter
        self._least_step_s = least_step_s
        self.name = drafter.name
        self.context = drafter.context
        self.least_burst = drafter.least_burst
        self.in_place = False
        """Its bursts wait, which the event loop must not."""
        self.one_context = drafter.one_context

    @property
    def step_s(self) -> float:
        return max(self._least_step_s, self._drafter.step_s)

    def start(self) -> PacedStream:
        return PacedStream(self._drafter.start(), self._least_step_s)

    def close(self) -> None:
        self._drafter.close()


class PacedStream:
    def __init__(self, stream: DraftStream, least_step_s: float) -> None:
        self._stream = stream
        self._least_step_s = least_step_s

    @property
    def cached(self) -> int:
        return self._stream.cached

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        began = time.monotonic()
        guesses = self._stream.draft(text, count, stop, chooser)
        left = len(guesses) * self._least_step_s - (time.monotonic() - began)
        if left > 0.0:
            time.sleep(left)
        return guesses

    def close(self) -> None:
        self._stream.close()
