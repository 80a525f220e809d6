"""Sums, differences, products and quotients of small numbers."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.wording import command, expand, question, table
from services.model_family.tasks.mathematics import addition
from services.model_family.tasks.words import THINGS

UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

FORMS = table("sums")


def spelled(number: int) -> str:
    """``number``, from 0 to 100, in words."""
    if number < 20:
        return UNITS[number]
    if number == 100:
        return "a hundred"
    tens, rest = TENS[number // 10 - 2], number % 10
    return f"{tens}-{UNITS[rest]}" if rest else tens


def written(rng: Random, *numbers: int) -> list[str]:
    """The numbers as digits, in words, or mixed."""
    draw = rng.random()
    if draw < 0.66 or max(numbers) > 100:
        return [str(number) for number in numbers]
    if draw < 0.94:
        return [spelled(number) for number in numbers]
    return [spelled(n) if rng.random() < 0.5 else str(n) for n in numbers]


def pair(rng: Random) -> tuple[int, int]:
    """Two numbers, mostly from 0 to 12."""
    draw = rng.random()
    top = 12 if draw < 0.66 else 20 if draw < 0.88 else 99
    return rng.randint(0, top), rng.randint(0, top if top < 99 or rng.random() < 0.5 else 12)


def asked(rng: Random, name: str, **slots: str) -> str:
    """One of the ways to ask for the calculation ``name`` of the table.

    Under ``name`` are noun phrases and formulas; commands, whole questions and stories stand under
    ``name_commands`` and so on, where there are any.
    """
    commands, questions, stories = (
        FORMS.get(f"{name}_{way}", ()) for way in ("commands", "questions", "stories")
    )
    draw = rng.random()
    if draw < 0.66:
        return calculation(rng, expand(rng, rng.choice(FORMS[name])), **slots)
    if draw < 0.82 or not questions:
        return command(rng, commands, **slots)
    if draw < 0.92 or not stories:
        return question(rng, questions, **slots)
    return question(rng, stories, things=rng.choice(THINGS), **slots)


def calculation(rng: Random, formula: str, **slots: str) -> str:
    """A question for the value of ``formula``, or a command."""
    ask, frames = (command, "commands") if rng.random() < 0.2 else (question, "frames")
    return ask(rng, [frame.replace("{c}", formula) for frame in FORMS[frames]], **slots)


def first_sum(rng: Random) -> DrawnQuestion:
    a, b = pair(rng)
    first, second = written(rng, a, b)
    return DrawnQuestion(prompt=asked(rng, "plus", a=first, b=second), answer=str(a + b))


def first_difference(rng: Random) -> DrawnQuestion:
    a, b = sorted(pair(rng), reverse=True)
    first, second = written(rng, a, b)
    return DrawnQuestion(prompt=asked(rng, "minus", a=first, b=second), answer=str(a - b))


def first_product(rng: Random) -> DrawnQuestion:
    a, b = rng.randint(0, 12), rng.randint(0, 12)
    if rng.random() < 0.06:
        a, name = rng.choice(((2, "double"), (3, "triple")))
        return DrawnQuestion(prompt=asked(rng, name, b=written(rng, b)[0]), answer=str(a * b))
    first, second = written(rng, a, b)
    return DrawnQuestion(prompt=asked(rng, "times", a=first, b=second), answer=str(a * b))


def first_quotient(rng: Random) -> DrawnQuestion:
    """Only those without a remainder."""
    a, b = rng.randint(1, 12), rng.randint(0, 12)
    if rng.random() < 0.15:
        return DrawnQuestion(prompt=asked(rng, "half", p=written(rng, 2 * b)[0]), answer=str(b))
    whole, part = written(rng, a * b, a)
    return DrawnQuestion(prompt=asked(rng, "over", p=whole, a=part), answer=str(b))


def long_sum(rng: Random) -> DrawnQuestion:
    """Numbers that are too large to know their sum by heart: the steps are written out."""
    a, b = rng.randint(100, 999), rng.randint(100, 999)
    formula = rng.choice(("{a} + {b}", "{a}+{b}", "{a} plus {b}"))
    prompt = calculation(rng, formula, a=str(a), b=str(b))
    return DrawnQuestion(prompt=prompt, answer=f"{addition(a, b)}. Answer: {a + b}")


TASKS = tuple(
    Task(name=draw.__name__, domain="mathematics", draw=draw, summary=summary)
    for draw, summary in (
        (first_sum, "sums in any words"),
        (first_difference, "differences in any words"),
        (first_product, "products up to 12 times 12 in any words"),
        (first_quotient, "quotients without a remainder in any words"),
        (long_sum, "sums of three digits, every carry written"),
    )
)
