import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.model_family.evaluation.scoring import final_answer, is_right


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("42", "42", True),
        (" 42\n", "42", True),
        ("42.", "42", False),
        ("3 + 4 = 7. Answer: 7", "Answer: 7", True),
        ("3 + 4 = 8. Answer: 8", "3 + 4 = 7. Answer: 7", False),
        ("Answer: 1. Answer: 2", "2", True),
        ("", "42", False),
        ("def f(x):\n    return x", "def f(x):\n  return x", False),
    ],
)
def test_only_the_final_answer_counts_and_it_must_be_exact(
    answer: str, expected: str, right: bool
) -> None:
    assert is_right(answer, expected) is right


@given(st.text())
def test_an_answer_is_right_against_itself(text: str) -> None:
    assert is_right(text, text)
    assert final_answer(final_answer(text)) == final_answer(text)
