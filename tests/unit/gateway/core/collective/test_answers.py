from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.collective.answers import Reading, agreement, final_answer, normalised, share


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


def test_long_texts_share_what_words_follow_each_other() -> None:
    final = Reading("the cat sat on the mat.\nit slept there")
    assert share(final, Reading("the cat sat on the mat.\nit ran away")) == pytest.approx(7 / 9)
    assert share(final, Reading("dogs bark at night\nevery night")) == 0.0


@given(st.text(max_size=300))
def test_every_text_agrees_with_itself_unless_it_says_nothing(text: str) -> None:
    reading = Reading(text)
    said = reading.key is not None or any(c.isalnum() or c == "_" for c in text)
    assert agreement(reading, reading) == float(said)


@given(st.text(max_size=200), st.text(max_size=200))
def test_agreement_is_a_share_and_the_same_both_ways(one: str, other: str) -> None:
    a, b = Reading(one), Reading(other)
    assert 0.0 <= agreement(a, b) <= 1.0
    assert agreement(a, b) == agreement(b, a)


@given(st.text(max_size=200))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
