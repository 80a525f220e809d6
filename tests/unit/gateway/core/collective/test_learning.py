from __future__ import annotations

from gateway.core.collective.cost import Prices
from gateway.core.collective.learning import Lesson, from_agreement, from_feedback
from gateway.core.collective.similarity import nearest, word_overlap

SHARES = {"right": 1.0, "near": 0.6, "wrong": 0.0}


def test_agreement_with_the_final_answer_counts_as_quality() -> None:
    assert from_agreement(SHARES) == [
        Lesson("right", 1.0, 1.0),
        Lesson("near", 0.6, 1.0),
        Lesson("wrong", 0.0, 1.0),
    ]


def test_one_that_answered_alone_proves_nothing() -> None:
    assert from_agreement({"right": 1.0}) == []


def test_praise_raises_those_that_agreed_and_lowers_the_others() -> None:
    assert from_feedback(SHARES, 1.0, 4.0) == [
        Lesson("right", 1.0, 4.0),
        Lesson("near", 1.0, 4.0),
        Lesson("wrong", 0.0, 4.0),
    ]


def test_blame_lowers_those_that_agreed_and_says_nothing_of_the_others() -> None:
    assert from_feedback(SHARES, 0.0, 4.0) == [Lesson("right", 0.0, 4.0), Lesson("near", 0.0, 4.0)]


def test_cost_goes_by_tier() -> None:
    prices = Prices({"device": 0.1, "edge": 1.0})
    assert prices.of("device", 500) == 0.05
    assert prices.of("nowhere", 500) == 0.0


def test_words_tell_what_fits_where_there_are_no_vectors() -> None:
    maths = word_overlap("What is 3 plus 4 apples?", "counts apples and numbers", ("maths",))
    assert maths > word_overlap("What is 3 plus 4 apples?", "writes poems")
    assert nearest([("a", 0.1), ("b", 0.4)], 0.2, "other") == "b"
    assert nearest([("a", 0.1)], 0.2, "other") == nearest([], 0.2, "other") == "other"
