"""Answers by others in the prompt: judging several, and revising one's own.

The right answer is always quoted at least once, yet is not always the most frequent one, so that
counting votes does not solve the task. The inner question keeps its own domain in the text; the
task itself is tagged ``reading``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from services.model_family.evaluation.scoring import final_answer
from services.model_family.tasks import code, mathematics, reading
from services.model_family.tasks.example import DrawnQuestion, Task

QuestionKind = Callable[[Random], DrawnQuestion]

QUESTIONS: tuple[QuestionKind, ...] = (
    mathematics.arithmetic,
    mathematics.arithmetic,
    mathematics.calendar,
    mathematics.compare,
    code.evaluate_code,
    code.follow_variables,
    code.list_item,
    reading.passage_fact,
    reading.track_object,
)


def quotable(rng: Random, kinds: Sequence[QuestionKind]) -> DrawnQuestion:
    """A question of one of ``kinds`` that has wrong answers to quote beside the right one."""
    while True:
        question = rng.choice(kinds)(rng)
        if not question.wrong:
            question = replace(question, wrong=slips(rng, final_answer(question.answer)))
        if question.wrong:
            return question


def slips(rng: Random, answer: str) -> tuple[str, ...]:
    """Wrong answers close to a number, or to a list of which two neighbours change places."""
    if answer.isdecimal():
        return mathematics.near(rng, int(answer))
    items = answer.split(", ")
    swaps = [[*items[:at], *items[at : at + 2][::-1], *items[at + 2 :]] for at in range(len(items))]
    swapped = {", ".join(swap) for swap in swaps} - {answer}
    return tuple(sorted(swapped))


def judge(rng: Random, kinds: Sequence[QuestionKind] = QUESTIONS) -> DrawnQuestion:
    """Three or four answers, of which one or two are right."""
    question = quotable(rng, kinds)
    right = rng.randint(1, 2)
    wrong = rng.choice(question.wrong)
    answers = [final_answer(question.answer)] * right
    answers += [wrong] * (2 if right == 1 and rng.random() < 0.3 else 1)
    if len(answers) < 3:
        answers.append(rng.choice(question.wrong))
    rng.shuffle(answers)
    quoted = "\n".join(f"- {a}" for a in answers)
    form = rng.choice(
        (
            "{0}\nOthers answered:\n{1}\nWhat is the right answer?",
            "Question: {0}\nAnswers:\n{1}\nWhich answer is right?",
        )
    )
    return DrawnQuestion(
        prompt=form.format(question.prompt, quoted), answer=question.answer, inner=question.prompt
    )


def revise(rng: Random, kinds: Sequence[QuestionKind] = QUESTIONS) -> DrawnQuestion:
    """One's own earlier answer and another's; either, or both, may be right."""
    question = quotable(rng, kinds)
    wrong, right = rng.choice(question.wrong), final_answer(question.answer)
    pairs = ((right, wrong), (wrong, right), (right, right))
    own, other = rng.choices(pairs, (4, 4, 2))[0]
    return revision(rng, question, own, other)


def revision(rng: Random, question: DrawnQuestion, own: str, other: str) -> DrawnQuestion:
    """``question`` asked again, after one's ``own`` answer to it and the ``other``."""
    form = rng.choice(
        (
            "{0}\nYour answer was: {1}\nAnother answer is: {2}\nGive your final answer.",
            "Question: {0}\nYou said: {1}\nSomeone else said: {2}\nWhat is your answer now?",
        )
    )
    prompt = form.format(question.prompt, own, other)
    return DrawnQuestion(prompt=prompt, answer=question.answer, inner=question.prompt)


TASKS = (
    Task(
        name="judge",
        domain="reading",
        draw=judge,
        summary="the right one of several quoted answers",
    ),
    Task(
        name="revise", domain="reading", draw=revise, summary="one's own answer against another's"
    ),
)
