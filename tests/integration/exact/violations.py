"""What a faulty device sends for a session, each time that it hears of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.protocol.device_link.speculation import (
    BEFORE,
    MAX_DRAFT_TOKENS,
    Done,
    Draft,
    Error,
    Opened,
    Tokens,
)
from tests.integration.device import Device
from tests.integration.exact.drafting_fleet import DRAFTS_PER_S

NEWS = 40
"""How often the sessions whose frames are refused misbehave: a connection may a hundred times."""

EVERY = 3
"""Violations come after every third step: all stay below what the gateway takes a second."""

STRANGE = 1000
"""Added to a session's number, it is nobody's."""


@dataclass(frozen=True)
class Violation:
    """`drafts(session)` are its next frames; `errors` the codes that they are refused with."""

    drafts: Callable[[Session], Iterable[Draft]]
    errors: set[str] = field(default_factory=set)


@dataclass
class Session:
    """`right` is the whole answer, `heard` what has come of it, `news` how often some came."""

    s: int
    violation: Violation
    right: list[int]
    heard: list[int] = field(default_factory=list)
    news: int = 0
    errors: set[str] = field(default_factory=set)
    ended: bool = False

    def draft(self, ids: list[int], ahead: int = 0) -> list[Draft]:
        place = len(self.heard) + ahead
        before = self.right[max(0, place - BEFORE) : place]
        return [Draft(s=self.s, p=place, i=ids, b=before)] if ids else []

    def correct(self, ahead: int, count: int) -> list[int]:
        place = len(self.heard) + ahead
        return self.right[place : place + count]


async def play(device: Device, sessions: list[Session]) -> None:
    """Until all have ended."""
    known = {session.s: session for session in sessions}
    while not all(session.ended for session in sessions):
        frame = await device.get()
        assert isinstance(frame, Opened | Tokens | Done | Error), frame
        assert frame.s is not None, frame
        session = known[frame.s % STRANGE]
        if isinstance(frame, Error):
            assert not frame.fatal, frame
            session.errors.add(frame.code)
            continue
        if isinstance(frame, Done):
            session.ended = True
            continue
        if isinstance(frame, Tokens):
            assert frame.p == len(session.heard)
            session.heard += frame.i
        session.news += 1
        if session.news % EVERY == 1:
            await device.put(*session.violation.drafts(session))


def never(session: Session) -> list[Draft]:
    return []


def once(session: Session) -> list[Draft]:
    return session.draft(session.correct(1, 8), ahead=1) if session.news == 1 else []


def wrong(session: Session) -> list[Draft]:
    return session.draft([(token + 1) % 1000 for token in session.correct(1, 8)], ahead=1)


def contradicting(session: Session) -> list[Draft]:
    ids = session.correct(1, 8)
    return [*wrong(session), *session.draft(ids, 1), *session.draft([*ids[:2], *ids[1:]], 1)]


def late(session: Session) -> list[Draft]:
    return [Draft(s=session.s, p=max(0, len(session.heard) - 8), i=session.right[:8])]


def shifted(session: Session) -> list[Draft]:
    """Right ids at places where they do not belong, after a text that they do not continue."""
    return [Draft(s=session.s, p=len(session.heard) + 3, i=[*session.correct(1, 8), 5], b=[7, 7])]


def far_ahead(session: Session) -> list[Draft]:
    return session.draft([1, 2], ahead=5000) if session.news < NEWS else []


def foreign(session: Session) -> list[Draft]:
    return session.draft([5, 2**31 - 1], ahead=1) if session.news < NEWS else []


def of_nobody(session: Session) -> list[Draft]:
    return [Draft(s=session.s + STRANGE, p=1, i=[5, 6])] if session.news < NEWS else []


def of_another(session: Session) -> list[Draft]:
    """Wrong drafts in the name of each session there may be."""
    return [
        Draft(s=s, p=len(session.heard) + 1, i=[9, 9, 9], b=session.heard[-2:])
        for s in range(1, len(VIOLATIONS) + 1)
    ]


def flood(session: Session) -> list[Draft]:
    """Far more than the gateway takes in a second, at once."""
    count = DRAFTS_PER_S // MAX_DRAFT_TOKENS + 80
    return session.draft([7] * MAX_DRAFT_TOKENS, ahead=1) * count if session.news == 1 else []


VIOLATIONS = [
    *map(Violation, (never, once, wrong, contradicting, late, shifted, of_another)),
    Violation(far_ahead, {"position_ahead"}),
    Violation(foreign, {"id_beyond_vocabulary"}),
    Violation(of_nobody, {"unknown_session"}),
]
