import json
import subprocess
import sys
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.model_family.dataset import (
    HELD_OUT_SHARE,
    conversation,
    evaluation_set,
    is_held_out,
    questions,
    training_example,
)
from services.model_family.tasks.registry import TASKS

EVEN = [1.0] * len(TASKS)


@given(st.integers())
def test_the_same_seed_gives_the_same_conversation(seed: int) -> None:
    assert conversation(Random(seed), EVEN) == conversation(Random(seed), EVEN)


def test_the_evaluation_set_is_the_same_each_time_and_grows_at_its_end() -> None:
    assert evaluation_set(60) == evaluation_set(60)
    assert evaluation_set(60)[:24] == evaluation_set(24)


def test_the_evaluation_set_has_all_tasks_in_equal_parts_and_no_prompt_twice() -> None:
    questions = evaluation_set(10 * len(TASKS))
    assert {q.task for q in questions[: len(TASKS)]} == {t.name for t in TASKS}
    assert [q.task for q in questions].count(TASKS[0].name) == 10
    assert len({q.prompt for q in questions}) == len(questions)


def test_evaluation_prompts_are_held_out_and_training_prompts_never_are() -> None:
    assert all(is_held_out(q.prompt) for q in evaluation_set(200))
    rng = Random(3)
    for _ in range(2000):
        _, example = training_example(rng, EVEN)
        assert not is_held_out(example.prompt)
        assert example.inner is None or not is_held_out(example.inner)


def test_no_question_of_a_conversation_is_held_out_when_asked_by_itself() -> None:
    rng = Random(4)
    asked = 0
    for _ in range(2000):
        _, example = training_example(rng, EVEN)
        turns = questions(rng, example)
        asked += len(turns)
        assert not any(is_held_out(turn.alone) for turn in turns)
    assert asked > 4000


def test_a_conversation_names_the_task_of_each_answer() -> None:
    rng = Random(5)
    for _ in range(500):
        tasks, messages = conversation(rng, EVEN)
        roles = [message["role"] for message in messages if message["role"] != "system"]
        assert roles == ["user", "assistant"] * len(tasks)
        assert tasks[0] in range(len(TASKS))


def test_about_one_prompt_in_twenty_is_held_out() -> None:
    held = sum(is_held_out(f"prompt {n}") for n in range(20_000))
    assert 0.9 < held * HELD_OUT_SHARE / 20_000 < 1.1


def test_tasks_of_no_weight_are_not_drawn() -> None:
    weights = [0.0] * len(TASKS)
    weights[5] = 1.0
    assert {training_example(Random(n), weights)[0] for n in range(20)} == {5}


def test_questions_are_printed_as_json_lines() -> None:
    command = [sys.executable, "-m", "services.model_family", "questions", "--examples", "30"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [json.loads(line)["prompt"] for line in lines] == [q.prompt for q in evaluation_set(30)]
