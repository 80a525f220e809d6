"""What became of a request: its caller's answer compared with the right one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadtest.callers.answers import Answer, streamed_answer, whole_answer
from loadtest.callers.questions import Question
from loadtest.measure.http_client import Exchange

GONE = 410
"""The status where a caller comes back to a stream whose replica has ended."""
STREAM_LOST = "stream_lost"
"""The code of the last event where that is seen while the stream is being read."""
LEAST_REPEAT = 12
"""Characters that must come twice in an answer that is cut, to tell a repeat from chance."""


class Verdict(StrEnum):
    """What became of a request.

    `RETURNED`: right, after its caller had come back for the rest. `CUT`: the gateway's replica
    that held the answer was killed after it had begun. `REFUSED`: an answer that can't go on at
    another engine ended with one clean error. The last three must not be.
    """

    RIGHT = "right"
    RETURNED = "returned"
    CUT = "cut"
    REFUSED = "refused"
    LOST = "lost"
    DUPLICATED = "duplicated"
    WRONG = "wrong"


BAD = frozenset({Verdict.LOST, Verdict.DUPLICATED, Verdict.WRONG})


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and a sentence where it is none of `RIGHT`."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An exchange of a call; `broken` says how its connection ended, "" where it did not."""

    exchange: Exchange
    broken: str = ""


def judge(question: Question, attempts: Sequence[Attempt], *, replica_lost: bool) -> Judgement:
    """`replica_lost`: a replica of the gateway ended while the call was under way."""
    last = attempts[-1]
    status = last.exchange.status
    if status == 0:
        return Judgement(Verdict.LOST, f"no answer: {last.broken}")
    if status != 200:
        error = whole_answer(question.kind.path, last.exchange.body).error
        gone = status == GONE and replica_lost and len(attempts) > 1
        return Judgement(Verdict.CUT if gone else Verdict.LOST, f"answered with {status}, {error}")
    answer = _answer(question, attempts)
    if problem := _text_problem(question.answer, answer):
        return problem
    if answer.violations:
        return Judgement(Verdict.WRONG, answer.violations[0])
    if answer.error is not None and answer.error.startswith(STREAM_LOST) and replica_lost:
        return Judgement(Verdict.CUT, answer.error)
    if answer.error is not None:
        verdict = Verdict.LOST if question.kind.continues else Verdict.REFUSED
        return Judgement(verdict, f"ended with an error, {answer.error}")
    if last.broken:
        allowed = replica_lost and not question.kind.returns
        return Judgement(Verdict.CUT if allowed else Verdict.LOST, last.broken)
    if not answer.complete:
        return Judgement(Verdict.LOST, "the stream ended early, without an error")
    if difference := _difference(question.answer, answer):
        return Judgement(Verdict.WRONG, difference)
    streams = [attempt for attempt in attempts if attempt.exchange.status == 200]
    if len(streams) > 1:
        return Judgement(Verdict.RETURNED, f"came back {len(streams) - 1} times")
    return Judgement(Verdict.RIGHT)


def _answer(question: Question, attempts: Sequence[Attempt]) -> Answer:
    """What all connections of the call brought together, or the last one's whole body."""
    if not question.kind.stream:
        last = attempts[-1]
        return Answer() if last.broken else whole_answer(question.kind.path, last.exchange.body)
    bodies = [attempt.exchange.body for attempt in attempts if attempt.exchange.status == 200]
    return streamed_answer(question.kind.path, bodies)


def _text_problem(right: Answer, answer: Answer) -> Judgement | None:
    """Where the texts so far are no beginnings of the right ones."""
    for index, text in answer.texts.items():
        expected = right.texts.get(index, "")
        if expected.startswith(text):
            continue
        if repeats(expected, text):
            return Judgement(Verdict.DUPLICATED, f"text came twice: {_excerpt(expected, text)}")
        return Judgement(Verdict.WRONG, f"another text: {_excerpt(expected, text)}")
    return None


def repeats(expected: str, text: str) -> bool:
    """Whether a part of the expected text came twice in a text that departs from it."""
    common = _common(expected, text)
    rest = text[common:]
    if len(rest) < LEAST_REPEAT and not expected.endswith(rest):
        return False
    # The departure may come a little after the repeat begins: equal letters hide it.
    return any(
        expected.startswith(text[begin:], start)
        for begin in range(max(0, common - LEAST_REPEAT), common + 1)
        for start in range(begin)
        if len(text) > begin
    )


def _difference(right: Answer, answer: Answer) -> str:
    """What else of a complete answer is not right; "" where all is."""
    compared = (
        ("text", right.texts, answer.texts),
        ("finish reason", right.finish_reasons, answer.finish_reasons),
        ("usage", right.usage, answer.usage),
        ("token ids", _filled(right.token_ids), _filled(answer.token_ids)),
        (
            "tokens with log-probabilities",
            _filled(right.scored_tokens),
            _filled(answer.scored_tokens),
        ),
    )
    for name, expected, actual in compared:
        if expected != actual:
            return f"another {name}: {str(actual)[:80]} instead of {str(expected)[:80]}"
    return "" if len(answer.ids) == 1 else f"{len(answer.ids)} ids in one answer"


def _filled(by_choice: Mapping[int, Sequence[object]]) -> dict[int, Sequence[object]]:
    return {index: values for index, values in by_choice.items() if values}


def _common(first: str, second: str) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))


def _excerpt(expected: str, text: str) -> str:
    """Where two texts part; benchmarks' prompts are no secret."""
    at = _common(expected, text)
    return f"{text[max(0, at - 20) : at + 30]!r} instead of {expected[max(0, at - 20) : at + 30]!r}"
