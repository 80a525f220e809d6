from itertools import islice

from loadtest.prompts import KINDS, questions, some_questions


def test_questions_repeat_for_the_same_seed_only() -> None:
    assert some_questions(1, 50) == some_questions(1, 50)
    assert some_questions(1, 50) != some_questions(2, 50)


def test_all_kinds_take_turns() -> None:
    starts = {question.split()[0] for question in islice(questions(3), 5 * len(KINDS))}
    assert {"Add", "Sort", "Write"} <= starts


def test_questions_are_short_lines_of_plain_text() -> None:
    for question in some_questions(4, 200):
        assert question.isascii() and "\n" not in question
        assert 10 < len(question) < 400
