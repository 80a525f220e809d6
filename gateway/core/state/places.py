"""Places: who is in, each until it leaves or its time is over."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.state.decision import Decision
from gateway.core.state.operations import Enter, Leave

Inside = Mapping[str, float]
"""Who is in, and until when."""


def enter(inside: Inside | None, wanted: Enter, now: float) -> Decision[Inside]:
    others = _still_in(inside, now)
    renews = others.pop(wanted.who, None) is not None
    count = len(others)
    if not renews and count >= wanted.limit:
        return _kept(others, -1)
    return _kept({**others, wanted.who: now + wanted.ttl_s}, count)


def leave(inside: Inside | None, leaving: Leave, now: float) -> Decision[Inside]:
    others = _still_in(inside, now)
    return _kept(others, others.pop(leaving.who, None) is not None)


def _still_in(inside: Inside | None, now: float) -> dict[str, float]:
    return {who: until for who, until in (inside or {}).items() if until > now}


def _kept(inside: Inside, result: int) -> Decision[Inside]:
    return Decision(inside or None, max(inside.values(), default=0.0), result)
