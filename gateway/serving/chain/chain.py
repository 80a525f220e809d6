"""The tiers in the middle of one answer: what goes up as drafts, and down as decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.ports import Clock, LeaveDrafts
from gateway.core.speculation.chain_report import ChainReport
from gateway.core.speculation.job import DraftRun
from gateway.core.speculation.writers import Writers
from gateway.serving.chain.middle_tier import MiddleTier

MAX_EARLY = 128
"""Runs of drafts that wait until the last tier takes them."""


class Chain:
    """One answer that the last tier decides alone, with tiers in the middle that draft for it.

    Drafts go to the lowest tier, and on to those above as long as one has nothing of its own to
    offer: a tier in the middle that is slow, busy or lost costs nothing but its help. `names` are
    the places, from who drafts below to the last tier. `ahead` is told of what the lowest tier
    expects to come, by position; it can be taken back. `ended` gets the report, once.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        report: ChainReport,
        clock: Clock,
        begun: float,
        ahead: Callable[[int, Sequence[int]], None],
        ended: Callable[[ChainReport], None],
    ) -> None:
        self._names = names
        self._writers = Writers(last=len(names) - 1)
        self._report = report
        self._clock = clock
        self._ahead = ahead
        self._ended = ended
        self._middles: Sequence[MiddleTier] = ()
        self._leave_last: LeaveDrafts | None = None
        self._vocabulary: int | None = None
        self._early: list[DraftRun] = []
        self._deciding = self._closed = False
        self._begun = begun

    def start(self, middles: Sequence[MiddleTier]) -> None:
        """The tiers in the middle, the lowest first, are at work from now on. What they draft waits
        for the last tier."""
        self._middles = middles
        self._report.middles = [middle.report for middle in middles]
        for middle in middles:
            middle.start()

    def connect(self, leave: LeaveDrafts, vocabulary: int | None) -> None:
        """The last tier takes drafts by `leave` from now on. `vocabulary`: its ids are below; None:
        unknown."""
        self._leave_last, self._vocabulary = leave, vocabulary
        early, self._early = self._early, []
        self._to_last(early)

    @property
    def per_step(self) -> int | None:
        """How many draft tokens a step takes where drafts go first; None: no tier in the middle is
        at work."""
        return next((middle.facts.per_step for middle in self._middles if middle.alive), None)

    def leave(self, place: int, runs: Sequence[DraftRun]) -> bool:
        """Drafts of the tier at `place`, 0 of who drafts below, for the tiers above it."""
        self._writers.offered(place, runs)
        taken = False
        for middle in self._middles:
            if middle.place > place and middle.alive:
                taken = middle.draft(runs) or taken
                if middle.leads:
                    return taken
        return self._to_last(runs) or taken

    def tell(self, place: int, position: int, ids: Sequence[int]) -> None:
        """The text of the tier at `place` is from `position` on `ids`: so is that of those
        below."""
        for middle in reversed(self._middles):
            if middle.place < place and middle.alive:
                # It tells those below it what is new to it.
                middle.follow(position, ids)
                return
        if not self._deciding:
            self._ahead(position, ids)

    def decide(self, ids: Sequence[int]) -> list[int]:
        """The next ids of the answer, as the last tier says them. Gives who wrote each first, as a
        place."""
        now, position, report = self._clock.now(), self._writers.length, self._report
        writers = self._writers.decided(ids)
        for place in writers:
            report.written[self._names[place]] += 1
        if report.first_s is None:
            report.first_s = now - self._begun
        else:
            report.tokens += len(ids)
            report.rest_s = now - self._begun - report.first_s
        self._deciding = True
        try:
            self.tell(len(self._names) - 1, position, ids)
        finally:
            self._deciding = False
        return writers

    def close(self) -> None:
        """Idempotent."""
        if self._closed:
            return
        self._closed = True
        for middle in self._middles:
            middle.close()
        self._ended(self._report)

    def _to_last(self, runs: Sequence[DraftRun]) -> bool:
        if self._leave_last is None:
            self._early += runs[: MAX_EARLY - len(self._early)]
            return True
        vocabulary = self._vocabulary
        if vocabulary is not None:
            runs = [run for run in runs if max(run[1]) < vocabulary]
        return bool(runs) and self._leave_last(runs)
