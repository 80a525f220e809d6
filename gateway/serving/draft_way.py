"""The way of a session's drafts, from the device to the verifier."""

from __future__ import annotations

from gateway.core.ports import Verification
from gateway.protocol.speculation import Draft
from gateway.serving.session_context import SessionContext

MAX_EARLY = 64
"""Drafts that wait until an endpoint has accepted the session."""


class DraftWay:
    """`connect` it to an answer that is made, and `disconnect` it when that is over."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._verification: Verification | None = None
        self._early: list[Draft] = []

    def take(self, frame: Draft) -> None:
        """Raises DraftRefused for a draft that lies."""
        if not self._context.state.check(frame.p, frame.i):
            self._context.outcome.late += len(frame.i)
            self._count("late", frame)
        elif self._verification is not None:
            self._forward(self._verification, frame)
        elif len(self._early) < MAX_EARLY:
            self._early.append(frame)
        else:
            self._drop(frame)

    def connect(self, verification: Verification) -> None:
        self._verification = verification
        vocabulary = self._context.state.vocabulary
        early, self._early = self._early, []
        for frame in early:
            if vocabulary is None or max(frame.i) < vocabulary:
                self._forward(verification, frame)
            else:
                self._drop(frame)

    def disconnect(self) -> None:
        self._verification = None

    def _forward(self, verification: Verification, frame: Draft) -> None:
        if verification.draft(frame.p, frame.i, frame.b):
            now = self._context.services.clock.now()
            self._context.state.forwarded(frame.p, frame.i, now)
            self._count("forwarded", frame)
        else:
            self._drop(frame)

    def _drop(self, frame: Draft) -> None:
        self._context.outcome.dropped += len(frame.i)
        self._count("dropped", frame)

    def _count(self, fate: str, frame: Draft) -> None:
        self._context.services.telemetry.drafts(self._context.tier, fate, len(frame.i))
