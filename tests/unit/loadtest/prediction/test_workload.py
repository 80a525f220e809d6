from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.prediction.answers import Pass, speed_up
from loadtest.prediction.workload import changed_lines, edit_question, predicted_text


@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 99))
def test_as_many_lines_change_as_are_to(count: int, changed: int, seed: int) -> None:
    chosen = changed_lines(count, changed, Random(seed))
    assert len(chosen) == len(set(chosen)) == min(changed, count)
    assert all(0 <= number < count for number in chosen)


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5, 0.0])
def test_a_predicted_text_has_its_share_of_the_answers_lines(share: float) -> None:
    answer = "\n".join(f"line {number}" for number in range(40))
    predicted = predicted_text(answer, share, Random(1))
    kept = [line for line in answer.splitlines() if line in predicted.splitlines()]
    assert len(kept) == round(40 * share)


def test_a_question_names_a_variable_of_its_code() -> None:
    rng = Random(2)
    for _ in range(50):
        first, code = edit_question(rng).split("\n", 1)
        _, old, _, new, *_ = first.split()
        assert old in code and new not in code


def test_the_speed_up_is_that_of_each_token() -> None:
    plain = [Pass(seconds=2.0, tokens=10, mismatches=0)]
    assert speed_up([Pass(seconds=1.0, tokens=20, mismatches=0)], plain).median == 4.0
