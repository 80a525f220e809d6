from random import Random

import pytest

from services.model_family.dataset import is_held_out, questions, training_example
from services.model_family.specialists import (
    GROUPS,
    SPECIALISTS,
    Specialist,
    self_description,
    training_weights,
)
from services.model_family.tasks.collective import quotable
from services.model_family.tasks.registry import BY_NAME

EACH = pytest.mark.parametrize("specialist", SPECIALISTS.values(), ids=SPECIALISTS)


def even(specialist: Specialist) -> list[float]:
    return training_weights([1.0] * len(specialist.tasks))


def test_the_specialists_are_these_with_these_folders() -> None:
    assert [one.member for one in SPECIALISTS.values()] == [
        "rill-device-mathematics",
        "rill-device-code",
        "rill-device-lists",
        "rill-device-reading",
    ]
    assert list(GROUPS) == [*SPECIALISTS, "dialogue"]


@EACH
def test_a_specialist_trains_on_tasks_of_the_family_and_describes_them_in_one_sentence(
    specialist: Specialist,
) -> None:
    assert set(specialist.tasks) <= BY_NAME.keys()
    described = self_description(specialist)
    assert described["domains"] == [specialist.name] and specialist.name in described["tags"]
    assert described["description"].count(".") == 1 and described["description"].endswith(".")


@EACH
def test_training_draws_only_its_own_tasks_and_never_a_held_out_prompt(
    specialist: Specialist,
) -> None:
    rng, tasks = Random(1), specialist.training_tasks()
    drawn = []
    for _ in range(2000):
        index, example = training_example(rng, even(specialist), tasks)
        drawn.append(tasks[index].name)
        assert not is_held_out(example.prompt)
        assert example.inner is None or not is_held_out(example.inner)
        assert not any(is_held_out(turn.alone) for turn in questions(rng, example))
    assert set(drawn) == {*specialist.tasks, "judge", "revise"}
    assert 0.07 < drawn.count("revise") / len(drawn) < 0.13
    assert 0.03 < drawn.count("judge") / len(drawn) < 0.07


def test_it_judges_and_revises_answers_to_its_own_questions_alone() -> None:
    one = Specialist(name="months", description="Months.", tags=("months",), tasks=("calendar",))
    rng = Random(2)
    asked = [training_example(rng, training_weights([0.0001]), one.training_tasks())[1]]
    asked += [task.example(rng) for task in one.training_tasks()[1:] for _ in range(50)]
    inner = [example.inner for example in asked if example.inner is not None]
    assert len(inner) >= 100
    assert all("day" in question or "month" in question for question in inner)


@EACH
def test_quoted_wrong_answers_are_wrong(specialist: Specialist) -> None:
    rng = Random(3)
    for _ in range(500):
        question = quotable(rng, specialist.quotable_kinds())
        assert question.wrong and question.answer.rpartition("Answer: ")[2] not in question.wrong


def test_tasks_that_are_answered_wrongly_are_drawn_more_often_and_revising_is_not() -> None:
    weights = training_weights([1.0, 3.0])
    assert weights == pytest.approx([0.2125, 0.6375, 0.05, 0.10])
