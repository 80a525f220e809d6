from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.final_answer import after_lead, answer_key, final_answer, normalised


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("3 + 4 = 7\nAnswer: 7", "7"),
        ("Answer: 5\nNo, wait.\nanswer : 6\nthat is all", "6"),
        ("The box.", "The box."),
        ("one line\nand another", None),
        ("long " * 100, None),
        ("Answer:", None),
        ("", None),
    ],
)
def test_the_final_answer_follows_the_last_lead(text: str, final: str | None) -> None:
    assert final_answer(text) == final


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", "42."),
        ("1,234", "1234"),
        ("12.50", "12.5"),
        ("12.0", "12"),
        ("The Box", "the  box"),
        ("a,b, c", "a, b ,c"),
        ('"red"', "**red**"),
    ],
)
def test_answers_that_differ_in_form_alone_are_the_same(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"), [("42", "43"), ("1,2", "12"), ("-3", "3"), ("a b", "ab")]
)
def test_answers_that_differ_stay_different(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12 + 3\nAnswer: 15", "Answer: 15."),
        ("Paris", " paris! "),
        ("Answer: 1,000", "Answer: 1000"),
        ("Answer: 2.50", "Answer: 2.5"),
        ("Answer: 42\nso yes", "Answer: 42"),
        ("answer: 42", "Answer: 42"),
        ("long " * 100, "Long " * 100),
        ("Answer: the  Blue box", "answer: no\nAnswer: the blue box"),
    ],
)
def test_answers_that_say_the_same(one: str, other: str) -> None:
    assert answer_key(one) == answer_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Answer: 42", "Answer: 43"), ("one\nand a", "one\nand b"), ("Answer: 4", "It is 4, I say")],
)
def test_answers_that_do_not_say_the_same(one: str, other: str) -> None:
    assert answer_key(one) != answer_key(other)


def test_the_lead_may_be_another_or_none() -> None:
    assert final_answer("It is.\n#### 4", "####") == "4"
    assert answer_key("Result = 7\nresult = 8", "Result =") == "8"
    assert after_lead("Answer: 4", "") is None
    assert answer_key("Answer: 4", "") == "answer: 4"
    assert after_lead("Antwort： 4", "Antwort:") == "4"


@given(st.text(max_size=200))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
