"""The HTTP headers that are Tierflow's own."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_TIER = "x-tierflow-max-tier"
MIN_QUALITY = "x-tierflow-min-quality"
DEADLINE_MS = "x-tierflow-deadline-ms"
SESSION = "x-tierflow-session"
PRIORITY = "x-tierflow-priority"
CASCADE_QUALITY = "x-tierflow-cascade-quality"
IDEMPOTENCY_KEY = "idempotency-key"
AUTHORIZATION = "authorization"
API_KEY = "x-api-key"
"""Where Anthropic's clients send a key."""
LAST_EVENT_ID = "last-event-id"
PRIVACY = "x-tierflow-privacy"
"""The privacy class of the request: public, owner or private."""
RESUMABLE = "x-tierflow-resumable"
"""Seconds for which a stream is to survive its connection; the answer says how many it will."""

TIER = "x-tierflow-tier"
ENDPOINT = "x-tierflow-endpoint"
REASON = "x-tierflow-reason"
PREDICTION = "x-tierflow-prediction"
"""What became of a predicted text: used, or not-used and why."""
STREAM = "x-tierflow-stream"
"""The id of a resumable stream."""
OURS = "x-tierflow-"
"""What all headers of Tierflow's own begin with."""
_OF_THE_DEVICE = (f"{OURS}draft-window", f"{OURS}marks", f"{OURS}verified-tokens")
ALL = frozenset(
    {
        MAX_TIER, MIN_QUALITY, DEADLINE_MS, SESSION, PRIORITY, CASCADE_QUALITY, PRIVACY, RESUMABLE,
        TIER, ENDPOINT, REASON, PREDICTION, STREAM, *_OF_THE_DEVICE,
    }
)  # fmt: skip
"""Tierflow's own, of requests and of answers: those of an answer may come back with a request."""
REQUEST_ID = "x-request-id"
MARKS = "x-tierflow-marks"
"""1: each chunk of a stream says who made its tokens first; a device agent's has one origin."""
VERIFIER, PREDICTED, FROM_PROMPT = "verifier", "prediction", "prompt"
"""Who makes a token, beside tiers by their names: the model that decides, a predicted text, and the
prompt itself."""
LOWEST_PRIORITY, NORMAL_PRIORITY, HIGHEST_PRIORITY = 0, 5, 9
PRIORITIES = {"low": 2, "normal": NORMAL_PRIORITY, "high": 8}
"""The priorities that have a name."""
_HARMLESS_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")


def harmless_id(given: str) -> str:
    """The id that a caller gives its request, where it may stand in logs and headers; else ""."""
    return given if _HARMLESS_ID.fullmatch(given) else ""


_KEYS = frozenset((AUTHORIZATION.encode(), API_KEY.encode()))


def header_given_twice(raw: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The name of a header of Tierflow, or of a key, that a request has more than once: one reader
    would take the first, and another the last. Names are in lower case."""
    seen: set[bytes] = set()
    for name, _ in raw:
        if name in _KEYS or name.startswith(b"x-tierflow-"):
            if name in seen:
                return name.decode("latin-1")[:64]
            seen.add(name)
    return None
