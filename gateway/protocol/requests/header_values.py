"""What Tierflow's own headers say of a request. Gateway and device agent read them alike; every
complaint names its header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from msgspec import Struct

from gateway.protocol import headers as names
from gateway.protocol.device_link.fields import Privacy
from gateway.protocol.headers import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    NORMAL_PRIORITY,
    PRIORITIES,
)
from gateway.protocol.requests.cascade import MAX_QUALITY, MIN_QUALITY
from gateway.protocol.requests.request_problems import (
    MAX_NAME_CHARS,
    RequestProblem,
    header_problem,
    wrong_header,
)

TIERS = ("device", "edge", "cloud")
"""From the one that is closest to the user."""
PRIVACY_CLASSES: tuple[Privacy, ...] = get_args(Privacy)
MAX_DEADLINE_MS = 24 * 3600 * 1000.0
MAX_RESUMABLE_S = 3600


class WrongHeader(Exception):
    """A header that there is not, or one with a value that is not allowed."""

    def __init__(self, problem: RequestProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class HeaderValues(Struct, frozen=True, kw_only=True):
    """What a request's headers ask for; None where they leave it open. `priority` is from
    LOWEST_PRIORITY to HIGHEST_PRIORITY."""

    max_tier: str | None
    min_quality: str | None
    deadline_s: float | None
    session: str | None
    cascade_quality: float | None
    resumable_s: int | None
    priority: int
    marks: bool


def header_values(headers: Mapping[str, str]) -> HeaderValues:
    """Of a request with these headers, by their names in lower case. Raises WrongHeader."""
    if problem := header_problem(headers):
        raise WrongHeader(problem)
    return HeaderValues(
        max_tier=_tier(headers.get(names.MAX_TIER)),
        min_quality=name_value(names.MIN_QUALITY, headers.get(names.MIN_QUALITY)),
        deadline_s=_deadline_s(headers.get(names.DEADLINE_MS)),
        session=name_value(names.SESSION, headers.get(names.SESSION)),
        cascade_quality=_quality(headers.get(names.CASCADE_QUALITY)),
        resumable_s=_resumable_s(headers.get(names.RESUMABLE)),
        priority=_priority(headers.get(names.PRIORITY)),
        marks=_marks(headers.get(names.MARKS, "0")),
    )


def privacy_value(value: str | None) -> Privacy | None:
    """The class that a request states. Raises WrongHeader."""
    if value is None:
        return None
    word = value.strip().lower()
    for known in PRIVACY_CLASSES:
        if word == known:
            return known
    raise _wrong(names.PRIVACY, f"one of {', '.join(PRIVACY_CLASSES)}")


def name_value(header: str, value: str | None) -> str | None:
    """A header's value that is a name. Raises WrongHeader."""
    if value is None:
        return None
    if not value.strip() or len(value) > MAX_NAME_CHARS:
        raise _wrong(header, f"1 to {MAX_NAME_CHARS} characters")
    return value.strip()


def _tier(value: str | None) -> str | None:
    if value is None:
        return None
    tier = value.strip().lower()
    if tier not in TIERS:
        raise _wrong(names.MAX_TIER, f"one of {', '.join(TIERS)}")
    return tier


def _deadline_s(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        milliseconds = float(value)
    except ValueError:
        milliseconds = 0.0
    if not 0.0 < milliseconds <= MAX_DEADLINE_MS:
        raise _wrong(names.DEADLINE_MS, f"milliseconds above 0, at most {MAX_DEADLINE_MS:.0f}")
    return milliseconds / 1000.0


def _quality(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        quality = float(value)
    except ValueError:
        quality = 0.0
    if not MIN_QUALITY <= quality <= MAX_QUALITY:
        raise _wrong(names.CASCADE_QUALITY, f"a share from {MIN_QUALITY} to {MAX_QUALITY}")
    return quality


def _resumable_s(value: str | None) -> int | None:
    if value is None:
        return None
    seconds = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0
    if not 1 <= seconds <= MAX_RESUMABLE_S:
        raise _wrong(names.RESUMABLE, f"whole seconds from 1 to {MAX_RESUMABLE_S}")
    return seconds


def _marks(value: str) -> bool:
    if value not in ("0", "1"):
        raise _wrong(names.MARKS, "0 or 1")
    return value == "1"


def _priority(value: str | None) -> int:
    if value is None:
        return NORMAL_PRIORITY
    word = value.strip().lower()
    priority = PRIORITIES.get(word)
    if priority is not None:
        return priority
    if len(word) == 1 and word.isascii() and word.isdigit():
        return int(word)
    known = ", ".join(PRIORITIES)
    raise _wrong(
        names.PRIORITY, f"one of {known}, or a digit from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}"
    )


def _wrong(header: str, expected: str) -> WrongHeader:
    return WrongHeader(wrong_header(header, expected))
