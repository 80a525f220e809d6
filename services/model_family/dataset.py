"""Which examples are trained on, which are held out, and the conversations they become."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from random import Random

from services.model_family.chat import Message
from services.model_family.tasks.example import Example
from services.model_family.tasks.registry import TASKS

HELD_OUT_SHARE = 20
EVALUATION_SEED = "evaluation"

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
    return not is_held_out(example.prompt) and (inner is None or not is_held_out(inner))


def training_example(rng: Random, weights: Sequence[float]) -> tuple[int, Example]:
    """One trainable example and its task's index, tasks drawn by ``weights``."""
    while True:
        index = rng.choices(range(len(TASKS)), weights)[0]
        example = TASKS[index].example(rng)
        if trainable(example):
            return index, example


def conversation(rng: Random, weights: Sequence[float]) -> tuple[int, list[Message]]:
    """A training conversation: mostly one turn, at times two or three, at times a system message.

    The index is that of the last turn's task, the one whose success is counted.
    """
    messages: list[Message] = []
    if rng.random() < 0.06:
        messages.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
    turns = rng.choices((1, 2, 3), (94, 5, 1))[0]
    index = 0
    for _ in range(turns):
        index, example = training_example(rng, weights)
        messages.append({"role": "user", "content": example.prompt})
        messages.append({"role": "assistant", "content": example.answer})
    return index, messages


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
