"""What is lost, duplicated and wrong, and what is none of these."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.callers.verdicts import Attempt, Judgement, Verdict, judge, repeats
from tests.unit.loadtest.callers.calls import (
    DONE,
    PIECES,
    TEXT,
    attempt,
    chunk,
    ending,
    event,
    events,
    failure,
    question,
)

BROKEN = "the connection ended before the answer did"


def verdict(*attempts: Attempt, replica_lost: bool = False, **kind: object) -> Verdict:
    return judgement(*attempts, replica_lost=replica_lost, **kind).verdict


def judgement(*attempts: Attempt, replica_lost: bool = False, **kind: object) -> Judgement:
    return judge(question(**kind), attempts, replica_lost=replica_lost)


def test_the_right_answer_is_right() -> None:
    assert verdict(attempt(*events(), ending())) is Verdict.RIGHT


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_refusal_is_a_loss(status: int) -> None:
    body = b'{"error": {"message": "no", "code": "overloaded"}}'
    assert judgement(attempt(body, status=status)) == Judgement(
        Verdict.LOST, f"answered with {status}, overloaded: no"
    )


def test_no_answer_at_all_is_a_loss() -> None:
    assert verdict(attempt(status=0, broken=BROKEN)) is Verdict.LOST


def test_an_error_event_is_a_loss_only_where_the_answer_could_have_gone_on() -> None:
    cut = attempt(*events(0, 3), failure())
    assert verdict(cut) is Verdict.LOST
    assert verdict(cut, continues=False) is Verdict.REFUSED


def test_an_end_without_its_mark_is_a_loss() -> None:
    assert verdict(attempt(*events())) is Verdict.LOST
    assert verdict(attempt(*events(0, 4))) is Verdict.LOST


def test_a_connection_that_broke_is_cut_only_with_its_replica() -> None:
    cut = attempt(*events(0, 3), broken=BROKEN)
    assert verdict(cut) is Verdict.LOST
    assert verdict(cut, replica_lost=True) is Verdict.CUT


def test_half_an_event_before_a_break_is_no_text() -> None:
    cut = attempt(*events(0, 3), b'data: {"id": "c1", "choi', broken=BROKEN)
    assert verdict(cut, replica_lost=True) is Verdict.CUT


def test_who_comes_back_for_the_rest_has_it_all() -> None:
    first = attempt(*events(0, 3), b'data: {"id": "c1"', broken=BROKEN)
    assert verdict(first, attempt(*events(3), ending()), returns=True) is Verdict.RETURNED


def test_a_stream_that_ended_with_its_replica_is_told_as_gone() -> None:
    first = attempt(*events(0, 3), broken=BROKEN)
    gone = attempt(b'{"error": {"message": "no", "code": "stream_lost"}}', status=410)
    assert verdict(first, gone, returns=True, replica_lost=True) is Verdict.CUT
    assert verdict(first, gone, returns=True) is Verdict.LOST


@given(st.integers(4, len(PIECES)), st.data())
def test_events_that_come_twice_are_duplicates(cut: int, data: st.DataObject) -> None:
    again = data.draw(st.integers(0, cut - 4))
    bodies = [*events(0, cut), *events(again or 1), ending()]
    assert verdict(attempt(*bodies)) is Verdict.DUPLICATED


@given(st.integers(1, len(PIECES) - 2))
def test_events_that_are_missing_make_another_text(cut: int) -> None:
    bodies = [*events(0, cut), *events(cut + 1), ending()]
    assert verdict(attempt(*bodies)) in (Verdict.WRONG, Verdict.DUPLICATED)


@pytest.mark.parametrize(
    ("bodies", "reason"),
    [
        ([*events(), ending((5, 1))], "another usage"),
        ([*events(0, len(PIECES) - 1), event(chunk(PIECES[-1], "stop")), ending()], "finish"),
        ([*events(), event(chunk(name="c2")), ending()], "2 ids"),
        ([*events(), ending(), DONE], "after the end"),
        ([*events(0, 3), failure(), DONE], "after the end"),
        ([*events(), event(chunk("more")), ending()], "another text"),
        ([*events(0, 3), b"data: {oops\n\n", *events(3), ending()], "not valid JSON"),
        ([*events(), event(chunk(role="assistant")), ending()], "second opening"),
    ],
)
def test_what_else_may_be_wrong(bodies: list[bytes], reason: str) -> None:
    found = judgement(attempt(*bodies))
    assert found.verdict is Verdict.WRONG
    assert reason in found.reason


def test_a_text_that_departs_is_no_duplicate() -> None:
    assert not repeats(TEXT, TEXT[:20] + "something else entirely, and longer")
    assert repeats(TEXT, TEXT[:30] + TEXT[10:])
