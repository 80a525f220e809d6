"""Replies to questions of arithmetic, as the collective benchmark gets them."""

from __future__ import annotations

from loadtest.measure.chat import Reply
from loadtest.measure.family import Question

QUESTIONS = [Question("arithmetic", f"{n} + 1 = ?", f"Answer: {n + 1}") for n in range(4)]


def right(n: int, tokens: int = 10) -> Reply:
    return Reply(status=200, text=f"{n} + 1. Answer: {n + 1}", tokens=tokens, seconds=0.1)


def wrong(tokens: int = 10) -> Reply:
    return Reply(status=200, text="Answer: 99", tokens=tokens, seconds=0.1)


EDGE = [right(0), wrong(), right(2), wrong()]
CLOUD = [right(n, tokens=20) for n in range(4)]
