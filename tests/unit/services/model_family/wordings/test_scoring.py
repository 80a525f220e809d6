import pytest

from services.model_family.wordings import Wording
from services.model_family.wordings.scoring import is_accepted, says_unknown


def wording(check: str, *accept: str) -> Wording:
    return Wording(kind="any", question="?", check=check, accept=accept)


@pytest.mark.parametrize(
    ("check", "accept", "answer", "right"),
    [
        ("number", ("42",), "Answer: 42", True),
        ("number", ("42",), "6 * 7 = 42", True),
        ("number", ("42",), "42 is not 43", False),
        ("number", ("42",), "Answer: forty-two", False),
        ("any", ("paris",), "Answer: Paris", True),
        ("any", ("7", "seven"), "Answer: Seven days", True),
        ("any", ("paris",), "Answer: Rome", False),
        ("list", ("3", "12", "40"), "Answer: 3, 12, 40", True),
        ("list", ("3", "12", "40"), "Answer: 3, 40, 12", False),
        ("list", ("3", "12"), "Answer: 3, 12, 40", False),
        ("unknown", ("hastings",), "It was at Hastings.", True),
        ("unknown", (), "Answer: blue", False),
    ],
)
def test_an_answer_is_checked_as_the_wording_says(
    check: str, accept: tuple[str, ...], answer: str, right: bool
) -> None:
    assert is_accepted(wording(check, *accept), answer) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("def total(x, y):\n    return x + y", True),
        ("def add(a, b): return a+b", True),
        ("def add(a, b):\n    return b + a", False),
        ("def add(a, b):\n    return a - b", False),
        ("def add(a, b) return a + b", False),
        ("lambda a, b: a + b", False),
    ],
)
def test_code_is_right_whatever_its_names_and_layout(answer: str, right: bool) -> None:
    expected = wording("code", "def f(a, b):\n    return a + b")
    assert is_accepted(expected, answer) is right


def test_names_that_python_gives_and_modules_are_not_renamed() -> None:
    assert not is_accepted(wording("code", "print(sum([1, 2]))"), "print(max([1, 2]))")
    assert not is_accepted(wording("code", "import math"), "import random")
    squares = wording("code", "[i ** 2 for i in range(5)]")
    assert is_accepted(squares, "[x ** 2 for x in range(5)]")


@pytest.mark.parametrize("answer", ["Sorry, I do not know that.", "I don't know.", "I can't."])
def test_an_answer_that_says_it_does_not_know_is_no_right_answer_and_no_wrong_one(
    answer: str,
) -> None:
    assert says_unknown(answer)
    assert not is_accepted(wording("any", "know"), answer)
