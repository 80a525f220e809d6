"""Drafts of one answer that wait here, for an engine that has no mailbox of its own."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.speculation.job import DraftRun

MAX_RUNS = 512
MAX_TOKENS = 2048


class DraftRuns:
    """The drafts of one answer, and those of them that continue its text.

    Positions count the answer's tokens from 0. Drafts that find no room are lost, rather than older
    ones: these are nearest to their turn. Of several branches the one that came first goes first.
    """

    def __init__(self) -> None:
        self._runs: list[DraftRun] = []
        self._tokens = 0

    def __bool__(self) -> bool:
        return bool(self._runs)

    def put(self, run: DraftRun) -> bool:
        """Keep it; False where there is no room."""
        size = len(run[1])
        if len(self._runs) >= MAX_RUNS or self._tokens + size > MAX_TOKENS:
            return False
        self._runs.append(run)
        self._tokens += size
        return True

    def next(self, text: Sequence[int], limit: int) -> list[int]:
        """At most `limit` draft ids that stand after `text`, all ids of the answer so far.

        Runs that the text has passed or contradicts are forgotten.
        """
        self._runs = [run for run in self._runs if _may_continue(run, text)]
        self._tokens = sum(len(ids) for _, ids, _ in self._runs)
        drafts: list[int] = []
        extended = list(text)
        while len(drafts) < limit and (more := self._after(extended)):
            drafts += more
            extended += more
        return drafts[:limit]

    def _after(self, text: Sequence[int]) -> Sequence[int]:
        """What the first run that covers the next position says from there on."""
        done = len(text)
        for run in self._runs:
            position, ids, _ = run
            if position <= done < position + len(ids) and _may_continue(run, text):
                return ids[done - position :]
        return ()


def _may_continue(run: DraftRun, text: Sequence[int]) -> bool:
    """Whether the run reaches beyond `text`, and agrees with it wherever both are known."""
    position, ids, before = run
    done = len(text)
    if position + len(ids) <= done:
        return False
    start = max(0, position - len(before))
    known = [*before, *ids][start - (position - len(before)) :]
    overlap = max(0, done - start)
    return list(known[:overlap]) == list(text[start : start + len(known)][:overlap])
