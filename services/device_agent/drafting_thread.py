"""Runs the drafter beside the event loop: in a thread when it takes long, in place when not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from services.device_agent.drafters.port import Chooser, Drafter, DraftStream, Guess

IN_PLACE_S = 0.001
"""A burst shorter than this costs less than handing it to a thread and back."""


READ_IN_PLACE = 64
"""Tokens; a longer text is read in the thread."""


WARM_TOKENS = 32


class DraftingThread:
    """One thread for all sessions: a device has one accelerator, and bursts are short.

    `answers` counts answers to the device's own user, `wanted` its drafts that are asked for now:
    whoever works for others makes way (see BackgroundDrafting).
    """

    def __init__(self, drafter: Drafter) -> None:
        self.drafter = drafter
        self._pool = ThreadPoolExecutor(1, "drafting")
        self._busy = threading.Lock()
        self.answers = 0
        self.wanted = 0
        self.changed = asyncio.Event()
        """Set, and cleared by whoever waits, when `answers` or `wanted` has fallen to 0."""

    @contextmanager
    def answering(self) -> Iterator[None]:
        """For as long as the device's own user is being answered."""
        self.answers += 1
        try:
            yield
        finally:
            self.answers -= 1
            if not self.answers:
                self.changed.set()

    def burst(self, most: int) -> int:
        """How many tokens to draft before looking for news again."""
        fitting = int(IN_PLACE_S / max(self.drafter.step_s, 1e-6))
        return max(1, min(most, max(fitting, self.drafter.least_burst)))

    async def draft(
        self,
        stream: DraftStream,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        """For the device's own user. Raises DrafterFailed."""
        self.wanted += 1
        try:
            return await self.burst_of(stream, text, count, stop, chooser)
        finally:
            self.wanted -= 1
            if not self.wanted:
                self.changed.set()

    async def burst_of(
        self,
        stream: DraftStream,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        """For anybody, as soon as the model is free. Raises DrafterFailed."""
        unread = max(0, len(text) - stream.cached)
        short = count * self.drafter.step_s < 2 * IN_PLACE_S and unread <= READ_IN_PLACE
        # Some models have one context for all streams: never two bursts at a time.
        if short and self.drafter.in_place and self._busy.acquire(blocking=False):
            try:
                guesses = stream.draft(text, count, stop, chooser)
            finally:
                self._busy.release()
            await asyncio.sleep(0)  # what came in the meantime is seen to first
            return guesses

        def burst() -> list[Guess]:
            with self._busy:
                return stream.draft(text, count, stop, chooser)

        return await asyncio.get_running_loop().run_in_executor(self._pool, burst)

    async def warm(self) -> None:
        """Draft a little of nothing: the first answer then finds everything in place."""
        stream = self.drafter.start()
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(
                self._pool, lambda: stream.draft([0] * WARM_TOKENS, WARM_TOKENS, lambda _: False)
            )
        finally:
            stream.close()

    def release(self, stream: DraftStream) -> None:
        """Close the stream, once the burst that may still run on it is over."""
        if self._busy.acquire(blocking=False):
            try:
                stream.close()
            finally:
                self._busy.release()
        else:
            self._pool.submit(stream.close)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self.drafter.close()
