"""Drafting for others while the device's own user leaves the model idle."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from services.device_agent.drafters.port import Burst, Drafter, DraftStream, Guess
from services.device_agent.drafting_thread import DraftingThread

PATIENCE_S = 0.02
"""How long a burst waits behind those of the device's own user. A burst of a millisecond after so
long costs that user a twentieth at most, and keeps the work of others from standing still."""

ONE_CONTEXT_PATIENCE_S = 2.0
ONE_CONTEXT_BURST = 32
"""The same where a change of stream means to read a text anew: changes must be few."""

READ_AT_ONCE = 128
"""Tokens of a prompt that are read before the device's own user may have the model again."""


class BackgroundDrafting:
    """The model's spare time: pieces of work get it burst by burst, first come, first served."""

    def __init__(self, thread: DraftingThread) -> None:
        self._thread = thread
        self._turn = asyncio.Lock()

    @property
    def drafter(self) -> Drafter:
        return self._thread.drafter

    def burst(self, most: int) -> int:
        if self.drafter.one_context:
            return min(most, ONE_CONTEXT_BURST)
        return self._thread.burst(most)

    async def draft(self, stream: DraftStream, burst: Burst) -> list[Guess]:
        """Ends early, after one token at least, when the device's own user needs the model.

        Raises DrafterFailed.
        """
        thread, cancelled = self._thread, False

        def enough(guess: Guess) -> bool:
            return burst.stop(guess) or cancelled or thread.user_bursts > 0

        try:
            for end in self._pauses(stream, len(burst.text)):
                reading = Burst(text=burst.text[:end], count=1, stop=enough)
                await self._in_turn(stream, reading)
            return await self._in_turn(stream, replace(burst, stop=enough))
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def _in_turn(self, stream: DraftStream, burst: Burst) -> list[Guess]:
        async with self._turn:
            await self._wait_for_user()
            return await self._thread.run_burst(stream, burst)

    def _pauses(self, stream: DraftStream, length: int) -> range:
        """Where to pause while a long text is read."""
        if self.drafter.least_burst > 1:
            return range(0)  # a call costs more than the pause is worth
        return range(min(stream.cached, length) + READ_AT_ONCE, length, READ_AT_ONCE)

    async def _wait_for_user(self) -> None:
        """Until the device's own user needs the model no more, or patience has run out."""
        thread, loop = self._thread, asyncio.get_running_loop()
        one_context = self.drafter.one_context
        end = loop.time() + (ONE_CONTEXT_PATIENCE_S if one_context else PATIENCE_S)
        while thread.user_answers if one_context else thread.user_bursts:
            thread.changed.clear()
            try:
                async with asyncio.timeout_at(end):
                    await thread.changed.wait()
            except TimeoutError:
                return
