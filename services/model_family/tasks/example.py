from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

Domain = Literal["mathematics", "code", "reading", "dialogue"]
Difficulty = Literal["easy", "hard"]


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
    """One kind of question. ``draw`` must take all its randomness from the generator given."""

    name: str
    domain: Domain
    draw: Callable[[Random], Draft]
    summary: str

    def example(self, rng: Random) -> Example:
        draft = self.draw(rng)
        return Example(self.name, self.domain, draft.prompt, draft.answer, draft.inner)
