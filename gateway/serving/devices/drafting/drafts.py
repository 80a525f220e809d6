"""The way of a session's drafts, from the device to the verifier."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ports import Verification
from gateway.protocol.speculation import Draft, Run
from gateway.serving.devices.drafting.context import SessionContext

MAX_EARLY = 64
"""Runs of drafts that wait until an endpoint has accepted the session."""


class DraftForwarder:
    """`connect` it to an answer that is made, and `disconnect` it when that is over."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._verification: Verification | None = None
        self._early: list[Run] = []

    def take(self, frame: Draft) -> None:
        """Raises DraftRefused for a draft that lies, of which nothing is taken."""
        runs = frame.runs
        fresh = [self._context.state.check(run.p, run.i) for run in runs]
        late = [run for run, useful in zip(runs, fresh, strict=True) if not useful]
        runs = [run for run, useful in zip(runs, fresh, strict=True) if useful]
        if late:
            self._context.outcome.late += _tokens(late)
            self._count("late", late)
        if self._verification is not None:
            self._forward(self._verification, runs)
        else:
            room = MAX_EARLY - len(self._early)
            self._early += runs[:room]
            self._drop(runs[room:])

    def connect(self, verification: Verification) -> None:
        self._verification = verification
        vocabulary = self._context.state.vocabulary
        early, self._early = self._early, []
        self._drop([run for run in early if _foreign(run, vocabulary)])
        self._forward(verification, [run for run in early if not _foreign(run, vocabulary)])

    def disconnect(self) -> None:
        self._verification = None

    def _forward(self, verification: Verification, runs: Sequence[Run]) -> None:
        if not runs:
            return
        if verification.draft([(run.p, run.i, run.b) for run in runs]):
            now = self._context.services.clock.now()
            for run in runs:
                self._context.state.forwarded(run.p, run.i, now)
            self._count("forwarded", runs)
        else:
            self._drop(runs)

    def _drop(self, runs: Sequence[Run]) -> None:
        if runs:
            self._context.outcome.dropped += _tokens(runs)
            self._count("dropped", runs)

    def _count(self, fate: str, runs: Sequence[Run]) -> None:
        self._context.services.telemetry.drafts(self._context.tier, fate, _tokens(runs))


def _foreign(run: Run, vocabulary: int | None) -> bool:
    return vocabulary is not None and max(run.i) >= vocabulary


def _tokens(runs: Sequence[Run]) -> int:
    return sum(len(run.i) for run in runs)
