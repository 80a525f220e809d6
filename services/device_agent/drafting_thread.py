"""Runs the drafter beside the event loop: long bursts in a thread, short ones in place."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from services.device_agent.drafters.port import Burst, Drafter, DraftStream, Guess

IN_PLACE_S = 0.001
"""A burst shorter than this costs less than handing it to a thread and back."""

READ_IN_PLACE = 64
"""Tokens; a longer text is read in the thread."""

WARM_TOKENS = 32


class DraftingThread:
    """The one thread in which all sessions draft: a device has one accelerator.

    `user_answers` counts the answers to the device's own user, `user_bursts` the bursts that these
    wait for now: work for others makes way for them (see BackgroundDrafting).
    """

    def __init__(self, drafter: Drafter) -> None:
        self.drafter = drafter
        self._pool = ThreadPoolExecutor(1, "drafting")
        self._busy = threading.Lock()
        self.user_answers = 0
        self.user_bursts = 0
        self.changed = asyncio.Event()
        """Set when one of the two has fallen to 0; those who wait for that clear it."""

    @contextmanager
    def serving_user(self) -> Iterator[None]:
        """The context of an answer to the device's own user."""
        self.user_answers += 1
        try:
            yield
        finally:
            self.user_answers -= 1
            if not self.user_answers:
                self.changed.set()

    def burst(self, most: int) -> int:
        """How many tokens to draft in one go: at most `most`, and what IN_PLACE_S is enough for."""
        in_place = int(IN_PLACE_S / max(self.drafter.step_s, 1e-6))
        return max(1, min(most, max(in_place, self.drafter.least_burst)))

    async def draft(self, stream: DraftStream, burst: Burst) -> list[Guess]:
        """For the device's own user. Raises DrafterFailed."""
        self.user_bursts += 1
        try:
            return await self.run_burst(stream, burst)
        finally:
            self.user_bursts -= 1
            if not self.user_bursts:
                self.changed.set()

    async def run_burst(self, stream: DraftStream, burst: Burst) -> list[Guess]:
        """For the user or for others, as soon as the model is free. Raises DrafterFailed."""
        unread = max(0, len(burst.text) - stream.cached)
        short = burst.count * self.drafter.step_s < 2 * IN_PLACE_S and unread <= READ_IN_PLACE
        # Some models have one context for all streams: never two bursts at a time.
        if short and self.drafter.in_place and self._busy.acquire(blocking=False):
            try:
                guesses = burst.run(stream)
            finally:
                self._busy.release()
            await asyncio.sleep(0)  # frames that have come in the meantime are handled first
            return guesses

        def run() -> list[Guess]:
            with self._busy:
                return burst.run(stream)

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    async def warm_up(self) -> None:
        """Draft a few tokens, so that the first answer does not wait for memory and kernels."""
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
