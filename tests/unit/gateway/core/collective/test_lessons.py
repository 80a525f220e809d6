from __future__ import annotations

import pytest

from gateway.core.collective.lessons import (
    Lesson,
    lessons_from_agreement,
    lessons_from_failures,
    lessons_from_feedback,
)
from gateway.core.collective.report import Contribution, Report
from gateway.core.collective.similarity import nearest, word_overlap
from gateway.core.prices import Prices

SHARES = {"right": 1.0, "near": 0.6, "wrong": 0.0}


def test_agreement_with_the_final_answer_counts_as_quality() -> None:
    assert lessons_from_agreement(SHARES) == [
        Lesson("right", 1.0, 1.0),
        Lesson("near", 0.6, 1.0),
        Lesson("wrong", 0.0, 1.0),
    ]


def test_one_that_answered_alone_proves_nothing() -> None:
    assert lessons_from_agreement({"right": 1.0}) == []


def test_a_vote_that_nobody_else_shares_proves_nothing() -> None:
    assert lessons_from_agreement({"heavy": 1.0, "light": 0.0}, decided_by_members=True) == []
    assert (
        len(
            lessons_from_agreement(
                {"heavy": 1.0, "light": 1.0, "other": 0.0}, decided_by_members=True
            )
        )
        == 3
    )


def test_words_in_common_speak_for_a_member_and_their_lack_against_none() -> None:
    own = lessons_from_agreement(
        {"own": 1.0, "near": 0.4}, decided_by_members=True, vague=("own", "near")
    )
    assert own == [Lesson("own", 1.0, 0.4), Lesson("near", 1.0, 0.4)], "its text is the final one"
    shares = {"near": 0.4, "second": 0.4, "far": 0.0, "final": 0.0}
    vague = ("near", "second", "far")
    assert lessons_from_agreement(shares, vague=vague) == [
        Lesson("near", 1.0, 0.4),
        Lesson("second", 1.0, 0.4),
        Lesson("final", 0.0, 1.0),
    ]
    assert lessons_from_feedback(shares, 1.0, 4.0, vague) == [
        Lesson("near", 1.0, 1.6),
        Lesson("second", 1.0, 1.6),
        Lesson("final", 0.0, 4.0),
    ]
    assert lessons_from_feedback(shares, 0.5, 4.0, vague)[0] == Lesson("near", 0.5, 1.6)


@pytest.mark.parametrize(
    ("contribution", "learns"),
    [
        (
            Contribution(
                device="m", role="answer", round=0, outcome="failed", seconds=1.0, code="misbehaved"
            ),
            True,
        ),
        (
            Contribution(
                device="m", role="answer", round=0, outcome="failed", seconds=1.0, code="empty"
            ),
            True,
        ),
        (
            Contribution(
                device="m", role="answer", round=0, outcome="failed", seconds=1.0, code="deadline"
            ),
            True,
        ),
        (Contribution(device="m", role="answer", round=0, outcome="straggler", seconds=1.0), True),
        (
            Contribution(
                device="m", role="answer", round=0, outcome="failed", seconds=1.0, code="busy"
            ),
            False,
        ),
        (
            Contribution(
                device="m", role="answer", round=0, outcome="failed", seconds=1.0, code="lost"
            ),
            False,
        ),
        (Contribution(device="m", role="revise", round=1, outcome="straggler", seconds=1.0), False),
    ],
)
def test_one_that_was_of_no_use_loses_quality(contribution: Contribution, learns: bool) -> None:
    report = Report(mode="members", contributions=[contribution], answered=1)
    assert lessons_from_failures(report) == ([Lesson("m", 0.0, 1.0)] if learns else [])


def test_those_who_were_cut_off_or_all_alike_late_have_done_nothing_wrong() -> None:
    straggler = Contribution(device="m", role="answer", round=0, outcome="straggler", seconds=1.0)
    assert (
        lessons_from_failures(
            Report(mode="members", contributions=[straggler], answered=1, early_exit="agreed")
        )
        == []
    )
    assert (
        lessons_from_failures(Report(mode="members", contributions=[straggler], answered=0)) == []
    )


def test_praise_raises_those_that_agreed_and_lowers_the_others() -> None:
    assert lessons_from_feedback(SHARES, 1.0, 4.0) == [
        Lesson("right", 1.0, 4.0),
        Lesson("near", 1.0, 4.0),
        Lesson("wrong", 0.0, 4.0),
    ]


def test_blame_lowers_those_that_agreed_and_says_nothing_of_the_others() -> None:
    assert lessons_from_feedback(SHARES, 0.0, 4.0) == [
        Lesson("right", 0.0, 4.0),
        Lesson("near", 0.0, 4.0),
    ]


def test_cost_goes_by_tier() -> None:
    prices = Prices({"device": 0.1, "edge": 1.0})
    assert prices.of("device", 500) == 0.05
    assert prices.of("nowhere", 500) == 0.0


def test_words_tell_what_fits_where_there_are_no_vectors() -> None:
    maths = word_overlap("What is 3 plus 4 apples?", "counts apples and numbers", ("maths",))
    assert maths > word_overlap("What is 3 plus 4 apples?", "writes poems")
    assert nearest([("a", 0.1), ("b", 0.4)], 0.2, "other") == "b"
    assert nearest([("a", 0.1)], 0.2, "other") == nearest([], 0.2, "other") == "other"
