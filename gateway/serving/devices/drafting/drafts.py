"""Drafts of one session, from the device to the verifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.ports import Clock, LeaveDrafts
from gateway.core.speculation.job import DraftRun
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import SessionState
from gateway.protocol.device_link.speculation import Draft, Run

MAX_EARLY = 64
"""Runs of drafts that wait until an endpoint has accepted the session."""


class DraftForwarder:
    """The way of a session's drafts to the verifier: each is checked, and those that can still be
    of use are handed on.

    `connect` it to where drafts of an answer are left, and `disconnect` it when that is over;
    drafts that come in between wait. `count(fate, tokens)` is told of forwarded, late and dropped
    draft tokens.
    """

    def __init__(
        self,
        *,
        state: SessionState,
        outcome: SessionOutcome,
        clock: Clock,
        count: Callable[[str, int], None],
    ) -> None:
        self._state = state
        self._outcome = outcome
        self._clock = clock
        self._count = count
        self._leave: LeaveDrafts | None = None
        self._early: list[Run] = []

    def handle(self, frame: Draft) -> None:
        """Raises DraftRefused for a frame with a draft that no honest device sends; then none of
        its drafts is used."""
        useful, late = list[Run](), list[Run]()
        for run in frame.runs:
            (useful if self._state.check(run.p, run.i) else late).append(run)
        if late:
            self._outcome.late += _tokens(late)
            self._count("late", _tokens(late))
        if self._leave is not None:
            self._forward(self._leave, useful)
        else:
            room = MAX_EARLY - len(self._early)
            self._early += useful[:room]
            self._drop(useful[room:])

    def connect(self, leave: LeaveDrafts) -> None:
        self._leave = leave
        vocabulary = self._state.vocabulary
        early, self._early = self._early, []
        self._drop([run for run in early if _beyond(run, vocabulary)])
        self._forward(leave, [run for run in early if not _beyond(run, vocabulary)])

    def disconnect(self) -> None:
        self._leave = None

    def _forward(self, leave: LeaveDrafts, runs: Sequence[Run]) -> None:
        state = self._state
        forwarded, refused = list[Run](), list[Run]()
        as_engine = list[DraftRun]()
        for run in runs:
            engine_run = state.engine_run(run.p, run.i, run.b)
            if engine_run is None:
                refused.append(run)
            else:
                forwarded.append(run)
                as_engine.append(engine_run)
        if as_engine and not leave(as_engine):
            forwarded, refused = [], list(runs)
        self._drop(refused)
        if forwarded:
            now = self._clock.now()
            for run in forwarded:
                state.forwarded(run.p, run.i, now)
            self._count("forwarded", _tokens(forwarded))

    def _drop(self, runs: Sequence[Run]) -> None:
        if runs:
            self._outcome.dropped += _tokens(runs)
            self._count("dropped", _tokens(runs))


def _beyond(run: Run, vocabulary: int | None) -> bool:
    """Whether the run has an id that is not in the vocabulary; None: unknown."""
    return vocabulary is not None and max(run.i) >= vocabulary


def _tokens(runs: Sequence[Run]) -> int:
    return sum(len(run.i) for run in runs)
