"""Answers as they come over connections, for tests of what is told about them."""

from __future__ import annotations

import json
from typing import Any

from loadtest.callers.answers import Answer
from loadtest.callers.questions import Kind, Question
from loadtest.callers.verdicts import Attempt
from loadtest.measure.http_client import Exchange

TEXT = "The river crosses a bridge. Every garden holds the morning lamp."
PIECES = [TEXT[at : at + 4] for at in range(0, len(TEXT), 4)]
USAGE = (5, len(PIECES))
DONE = b"data: [DONE]\n\n"


def question(**kind: Any) -> Question:
    right = Answer(texts={0: TEXT}, finish_reasons={0: "length"}, usage=USAGE, complete=True)
    return Question(kind=Kind(name="chat", **kind), body={}, answer=right)


def event(payload: object, event_id: str = "") -> bytes:
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}data: {json.dumps(payload)}\n\n".encode()


def chunk(
    text: str = "", finish_reason: str | None = None, role: str | None = None, name: str = "c1"
) -> dict[str, Any]:
    delta = {"content": text, **({"role": role} if role else {})}
    return {
        "id": name,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def events(begin: int = 0, end: int = len(PIECES)) -> list[bytes]:
    """The events of these pieces, with ids; the opening comes before the first."""
    opening = [event(chunk(role="assistant"), "s:0")] if begin == 0 else []
    return opening + [
        event(
            chunk(PIECES[number], "length" if number == len(PIECES) - 1 else None),
            f"s:{number + 1}",
        )
        for number in range(begin, end)
    ]


def ending(usage: tuple[int, int] = USAGE) -> bytes:
    counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return event({"id": "c1", "choices": [], "usage": counts}) + DONE


def failure(code: str = "engine_error") -> bytes:
    return event({"error": {"message": "no", "code": code}})


def attempt(*pieces: bytes, status: int = 200, broken: str = "", **headers: str) -> Attempt:
    body = b"".join(pieces)
    exchange = Exchange(
        sent=0.0,
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        pieces=[(1.0, body)] if body else [],
        done=2.0,
    )
    return Attempt(exchange=exchange, broken=broken)
