"""A chain of tiers as one `Verification`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.core.ports import Verification
from gateway.core.speculation.job import Batch, DraftRun
from gateway.core.speculation.writers import Writers
from gateway.serving.chain.middle_tier import MiddleTier

MAX_EARLY = 128
"""Runs of drafts that wait until the last tier has accepted the answer."""


class ChainVerification:
    """An answer that the last tier verifies and decides alone, with tiers in the middle that draft
    for it, the lowest first.

    Drafts go to the lowest tier, and on to those above as long as one has nothing of its own to
    offer: a tier in the middle that is slow, busy or lost costs nothing but its help. `ahead` is
    told of what the lowest tier expects to come, by position; it can be taken back.
    """

    def __init__(self, writers: Writers, ahead: Callable[[int, Sequence[int]], None]) -> None:
        self._writers = writers
        self._ahead = ahead
        self._middles: Sequence[MiddleTier] = ()
        self._last: Verification | None = None
        self._vocabulary: int | None = None
        self._deciding = False
        self._early: list[DraftRun] = []

    def start(self, middles: Sequence[MiddleTier]) -> None:
        """Before the last tier has accepted the answer, whose drafts then wait for it."""
        self._middles = middles
        for middle in middles:
            middle.start()

    def connect(self, last: Verification, vocabulary: int | None) -> None:
        """The last tier has accepted the answer. `vocabulary`: its ids are below; None: unknown."""
        self._last, self._vocabulary = last, vocabulary
        early, self._early = self._early, []
        self._to_last(early)

    @property
    def usage(self) -> tuple[int, int] | None:
        return self._last.usage if self._last is not None else None

    @property
    def per_step(self) -> int | None:
        """How many draft tokens a step takes where drafts go first; None: no tier in the middle is
        at work."""
        return next((middle.facts.per_step for middle in self._middles if middle.alive), None)

    def draft(self, runs: Sequence[DraftRun]) -> bool:
        return self.leave(0, runs)

    def leave(self, place: int, runs: Sequence[DraftRun]) -> bool:
        """Drafts of the tier at `place`, 0 of who drafts below, for the tiers above it."""
        self._writers.offered(place, runs)
        taken = False
        for middle in self._middles[place:]:
            if middle.alive:
                taken = middle.draft(runs) or taken
                if middle.leads:
                    return taken
        return self._to_last(runs) or taken

    def tell(self, place: int, position: int, ids: Sequence[int]) -> None:
        """The text of the tier at `place`, 1 of the lowest in the middle, is from `position` on
        `ids`: so is that of those below."""
        for middle in reversed(self._middles[: place - 1]):
            if middle.alive:
                # It tells those below it what is new to it.
                middle.follow(position, ids)
                return
        if not self._deciding:
            self._ahead(position, ids)

    async def read(self) -> Batch | None:
        last = self._last
        batch = await last.read() if last is not None else None
        if batch is None or not batch.ids:
            return batch
        position = self._writers.length
        writers = self._writers.decided(batch.ids)
        self._deciding = True
        try:
            self.tell(len(self._middles) + 1, position, batch.ids)
        finally:
            self._deciding = False
        return replace(batch, writers=writers)

    def _to_last(self, runs: Sequence[DraftRun]) -> bool:
        if self._last is None:
            self._early += runs[: MAX_EARLY - len(self._early)]
            return True
        vocabulary = self._vocabulary
        if vocabulary is not None:
            runs = [run for run in runs if max(run[1]) < vocabulary]
        return bool(runs) and self._last.draft(runs)

    def close(self) -> None:
        for middle in self._middles:
            middle.close()
        if self._last is not None:
            self._last.close()
