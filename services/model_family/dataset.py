"""Which examples are trained on, which are held out, and the conversations they become."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from random import Random

from services.model_family.chat import Message
from services.model_family.tasks.example import Example, FollowUp, Task
from services.model_family.tasks.registry import TASKS
from services.model_family.wordings import is_wording

HELD_OUT_SHARE = 20
EVALUATION_SEED = "evaluation"

# How many follow-ups are asked, where the text has as many.
FOLLOW_UPS = (0, 2, 3, 4, 5, 6)

# Stands for the task of a follow-up: those are easier, and must not pass for the task itself.
FOLLOW_UP = -1

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "Answer briefly.",
    "You are Rill, a helpful assistant.",
    "Be short and precise.",
)


def is_held_out(prompt: str) -> bool:
    """Whether the prompt's text belongs to the evaluation side, about one prompt in twenty."""
    digest = hashlib.sha256(prompt.strip().encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_SHARE == 0


def trainable(example: Example) -> bool:
    inner = example.inner
    if is_wording(example.prompt):
        return False
    return not is_held_out(example.prompt) and (inner is None or not is_held_out(inner))


def training_example(
    rng: Random, weights: Sequence[float], tasks: Sequence[Task] = TASKS
) -> tuple[int, Example]:
    """One trainable example and its task's index in ``tasks``, which are drawn by ``weights``."""
    while True:
        index = rng.choices(range(len(tasks)), weights)[0]
        example = tasks[index].example(rng)
        if trainable(example):
            return index, example


def conversation(
    rng: Random, weights: Sequence[float], tasks: Sequence[Task] = TASKS
) -> tuple[list[int], list[Message]]:
    """A training conversation, with the index of each answer's task (of a follow-up: FOLLOW_UP).

    Mostly one question, often with follow-ups about the same text: reading a passage costs more
    than an answer, and each answer teaches. At times a second question or a system message.
    """
    messages: list[Message] = []
    if rng.random() < 0.06:
        messages.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
    tasks_of_answers = []
    for _ in range(rng.choices((1, 2, 3), (94, 5, 1))[0]):
        index, example = training_example(rng, weights, tasks)
        for number, turn in enumerate(questions(rng, example)):
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answer})
            tasks_of_answers.append(index if number == 0 else FOLLOW_UP)
    return tasks_of_answers, messages


def questions(rng: Random, example: Example) -> list[FollowUp]:
    """The example's own question and some that follow it, none of them held out."""
    more = [follow_up for follow_up in example.more if not is_held_out(follow_up.alone)]
    first = FollowUp(example.prompt, example.answer, example.prompt)
    return [first, *more[: rng.choice(FOLLOW_UPS)]]


def held_out(seed: str = EVALUATION_SEED) -> Iterator[Example]:
    """Held-out examples without end or repetition, the tasks in turn."""
    rng = Random(f"held-out:{seed}")
    seen: set[str] = set()
    for task in itertools.cycle(TASKS):
        for _ in range(2000):
            example = task.example(rng)
            if is_held_out(example.prompt) and example.prompt not in seen:
                seen.add(example.prompt)
                yield example
                break


def evaluation_set(count: int, seed: str = EVALUATION_SEED) -> list[Example]:
    """The first ``count`` held-out examples; the same for everyone who gives the same seed."""
    return list(itertools.islice(held_out(seed), count))
