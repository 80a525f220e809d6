from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.collective.answers import Reading, agreement, share


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
