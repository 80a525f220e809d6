from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

Domain = Literal["mathematics", "code", "reading", "dialogue"]


LEAD = "Answer:"


@dataclass(frozen=True, slots=True)
class Draft:
    """A question and its right answer, before it is tagged with its task.

    ``wrong`` holds plausible wrong answers (the collective tasks quote them); ``inner`` is the
    question inside a collective prompt, so that the hold-out covers it as well.
    """

    prompt: str
    answer: str
    wrong: tuple[str, ...] = ()
    inner: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    task: str
    domain: Domain
    prompt: str
    answer: str
    inner: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of question. ``draw`` must take all its randomness from the generator given.

    Unless ``plain``, the answer is led in by ``Answer:`` (after the steps, where there are some):
    its first word then follows a space, as the same word does in the question, so that the
    tokenizer gives both the same token and the model can copy.
    """

    name: str
    domain: Domain
    draw: Callable[[Random], Draft]
    summary: str
    plain: bool = False

    def example(self, rng: Random) -> Example:
        draft = self.draw(rng)
        answer = draft.answer
        if not self.plain and LEAD not in answer:
            answer = f"{LEAD} {answer}"
        return Example(self.name, self.domain, draft.prompt, answer, draft.inner)
