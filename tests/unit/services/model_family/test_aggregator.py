"""The further pass that makes the edge member read what a collective answered."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random

from gateway.settings.shipped import shipped_templates
from services.model_family.aggregator import AGGREGATE_SHARE, Aggregator
from services.model_family.dataset import is_held_out, trainable, training_example
from services.model_family.evaluation.scoring import final_answer
from services.model_family.tasks.aggregation import ASKED, FORM, RIGHT_SHARE, TASK, held_out, line
from services.model_family.tasks.registry import TASKS


def lines_of(prompt: str) -> list[str]:
    _, _, quoted = prompt.rpartition("\nOthers answered:\n")
    return [one.removeprefix("- ") for one in quoted.splitlines()[:-1]]


def test_it_reads_the_template_that_the_gateway_fills_in() -> None:
    shipped = shipped_templates()["templates"]["rill-judge@1"]
    assert FORM.format("{question}", "{answers}") == shipped["text"]


def test_three_or_four_answers_are_quoted_the_right_one_mostly_among_them() -> None:
    rng, right, asked = Random(1), 0, 600
    for _ in range(asked):
        example = TASK.example(rng)
        lines = lines_of(example.prompt)
        assert 3 <= len(lines) <= 4
        # Equal answers stand together, the more frequent ones first.
        counts = list(Counter(lines).values())
        assert counts == sorted(counts, reverse=True)
        right += line(final_answer(example.answer)) in lines
    assert RIGHT_SHARE - 0.06 < right / asked < RIGHT_SHARE + 0.06


def test_every_kind_of_question_is_asked_with_its_own_answer() -> None:
    rng = Random(2)
    examples = [TASK.example(rng) for _ in range(600)]
    assert len({example.inner for example in examples}) > 300
    for example in examples:
        assert example.inner is not None and example.prompt.startswith(example.inner)
    assert {task.name for task in TASKS} - {task.name for task in ASKED} == {"judge", "revise"}


def test_what_is_held_out_stays_held_out_and_all_that_was_learned_is_drawn() -> None:
    course, rng = Aggregator(), Random(3)
    tasks = course.training_tasks()
    weights = course.weights([1.0] * len(tasks))
    drawn = Counter[str]()
    for _ in range(2000):
        index, example = training_example(rng, weights, tasks)
        drawn[tasks[index].name] += 1
        assert not is_held_out(example.prompt)
        assert example.inner is None or not is_held_out(example.inner)
    assert drawn.keys() == {"aggregate", *(task.name for task in TASKS)}
    assert AGGREGATE_SHARE - 0.05 < drawn["aggregate"] / 2000 < AGGREGATE_SHARE + 0.05


def test_it_is_measured_on_questions_that_training_never_draws() -> None:
    examples = list(islice(held_out(), 40))
    assert all(is_held_out(example.inner or "") for example in examples)
    assert not any(trainable(example) for example in examples)
    assert [example.prompt for example in islice(held_out(), 40)] == [e.prompt for e in examples]
