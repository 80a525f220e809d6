import pytest

from loadtest.collective import questions
from loadtest.measure.family import Question, split_of


def test_the_first_questions_of_every_task_are_cut_off() -> None:
    drawn = [Question(task, f"{n} {task}", "") for n in range(3) for task in ("sum", "sort")]
    asked, further = questions.cut(drawn, 1)
    assert [question.prompt for question in asked] == ["0 sum", "0 sort"]
    assert asked + further == drawn


def test_a_question_of_the_cascade_was_not_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [Question("arithmetic", f"{n} + 2 = ?", f"Answer: {n + 2}") for n in range(60)]
    monkeypatch.setattr(questions, "held_out", lambda python, count: drawn)
    others = questions.unfitted("python", 10)
    assert len(others) == 10
    assert {split_of(question) for question in others} == {"evaluation"}
