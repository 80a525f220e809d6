"""Runs of drafts as another engine counts positions, which goes on with an answer."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.speculation.job import DraftRun


def run_of_rest(run: DraftRun, text: Sequence[int], start: int) -> DraftRun | None:
    """`run` for an engine whose answer begins at position `start`, after the first `start` ids of
    `text`. None where the run contradicts these, or ends within them."""
    position, ids, before = run
    if start == 0:
        return run
    known = list(text[max(0, position - len(before)) : start])
    if [*before, *ids][: len(known)] != known:
        return None
    new_ids = ids[max(0, start - position) :]
    new_before = before[max(0, start - position + len(before)) :]
    return (max(0, position - start), new_ids, new_before) if new_ids else None
