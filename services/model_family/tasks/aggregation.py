"""Several answers to a question in the prompt, as members of a collective give them that know
little of each other's fields: any question, the heaviest answer first, right or not.

Unlike ``judge``, whose wrong answers are close to the right one, and which asks of few kinds, this
quotes what somebody says who was never taught the task. The right answer may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from services.model_family.dataset import is_held_out
from services.model_family.evaluation.scoring import final_answer
from services.model_family.tasks import code, dialogue, mathematics, reading
from services.model_family.tasks.collective import slips
from services.model_family.tasks.example import DrawnQuestion, Example, Task

ASKED: tuple[Task, ...] = (*mathematics.TASKS, *code.TASKS, *reading.TASKS, *dialogue.TASKS)
FORM = "{0}\nOthers answered:\n{1}\nWhat is the right answer?"
MAX_CHARS = 120
"""Of an answer's line; what is longer is cut."""

RIGHT_SHARE, FIRST_SHARE = 0.88, 0.7
"""How often the right answer is there, and how often it is the heaviest then."""


def aggregate(rng: Random) -> DrawnQuestion:
    """Three or four lines; their number tells the answers' weight, the heaviest come first."""
    task = rng.choice(ASKED)
    question = task.example(rng)
    answers = distinct(rng, question, rng.choices((1, 2, 3, 4), (15, 40, 30, 15))[0])
    lines = "\n".join(f"- {line}" for line in repeated(rng, answers))
    prompt = FORM.format(question.prompt, lines)
    return DrawnQuestion(prompt=prompt, answer=question.answer, inner=question.prompt)


def held_out() -> Iterator[Example]:
    """Examples without end whose questions are held out; the same for everyone."""
    rng = Random("held-out:aggregate")
    while True:
        example = TASK.example(rng)
        if example.inner is not None and is_held_out(example.inner):
            yield example


def distinct(rng: Random, question: Example, count: int) -> list[str]:
    """``count`` different lines at most; the right one may be anywhere among them, or nowhere."""
    right = line(final_answer(question.answer))
    wrong = list[str]()
    for _ in range(20):
        if len(wrong) == count:
            break
        answer = line(wrong_answer(rng, question))
        if answer and answer != right and answer not in wrong:
            wrong.append(answer)
    if rng.random() >= RIGHT_SHARE:
        return wrong or [right]
    rest = wrong[: count - 1]
    rest.insert(0 if rng.random() < FIRST_SHARE else rng.randint(0, len(rest)), right)
    return rest


def repeated(rng: Random, answers: list[str]) -> list[str]:
    """Three or four lines, all answers among them; earlier ones are given more often."""
    total = max(len(answers), rng.choice((3, 4)))
    counts = [1] * len(answers)
    for _ in range(total - len(answers)):
        counts[min(rng.choices(range(len(answers)), range(len(answers), 0, -1))[0], 3)] += 1
    ranked = sorted(counts, reverse=True)
    return [answer for answer, count in zip(answers, ranked, strict=True) for _ in range(count)]


def wrong_answer(rng: Random, question: Example) -> str:
    """One close to the right answer, one to another question, or a damaged one."""
    right = final_answer(question.answer)
    kind = rng.random()
    if kind < 0.35 and (close := slips(rng, right)):
        return rng.choice(close)
    if kind < 0.8:
        same = rng.random() < 0.4
        task = next(t for t in ASKED if t.name == question.task) if same else rng.choice(ASKED)
        return final_answer(task.example(rng).answer)
    return damaged(rng, right)


def damaged(rng: Random, text: str) -> str:
    """With words lost, or out of order."""
    words = text.split()
    if rng.random() < 0.5:
        return " ".join(words[: rng.randint(1, max(1, len(words) - 1))])
    rng.shuffle(words)
    return " ".join(words)


def line(text: str) -> str:
    return " ".join(text.split())[:MAX_CHARS]


TASK = Task(
    name="aggregate",
    domain="reading",
    draw=aggregate,
    summary="answers of a collective to any question",
    plain=True,
)
