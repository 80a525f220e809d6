"""A question with its answer: as a task draws it, and as an example of that task."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

Domain = Literal["mathematics", "code", "reading", "dialogue"]


LEAD = "Answer:"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A further question about the same text.

    ``alone`` is the prompt that asks it by itself, so that the hold-out covers it.
    """

    question: str
    answer: str
    alone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnQuestion:
    """A question and its right answer, before it is tagged with its task.

    ``wrong`` holds plausible wrong answers (the collective tasks quote them); ``inner`` is the
    question inside a collective prompt, so that the hold-out covers it as well.
    """

    prompt: str
    answer: str
    wrong: tuple[str, ...] = ()
    inner: str | None = None
    more: tuple[FollowUp, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question of a task, with the answer that is trained on and compared."""

    task: str
    domain: Domain
    prompt: str
    answer: str
    inner: str | None = None
    more: tuple[FollowUp, ...] = ()


def follow_ups(text: str, pairs: Iterable[tuple[str, str]]) -> tuple[FollowUp, ...]:
    """Questions and answers about ``text``, each of which could have been asked after it."""
    return tuple(FollowUp(question, answer, f"{text} {question}") for question, answer in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A kind of question. ``draw`` must take all its randomness from the generator given.

    Unless ``plain``, the answer is led in by ``Answer:`` (after the steps, where there are some):
    its first word then follows a space, as the same word does in the question, so that the
    tokenizer gives both the same token and the model can copy.
    """

    name: str
    domain: Domain
    draw: Callable[[Random], DrawnQuestion]
    summary: str
    plain: bool = False

    def example(self, rng: Random) -> Example:
        drawn = self.draw(rng)
        more = tuple(
            replace(question, answer=self._led_in(question.answer)) for question in drawn.more
        )
        answer = self._led_in(drawn.answer)
        return Example(
            task=self.name,
            domain=self.domain,
            prompt=drawn.prompt,
            answer=answer,
            inner=drawn.inner,
            more=more,
        )

    def _led_in(self, answer: str) -> str:
        return answer if self.plain or LEAD in answer else f"{LEAD} {answer}"
