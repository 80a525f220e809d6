"""Mathematics: with written-out steps (kind to shallow models) and without (depth pays)."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, FollowUp, Task
from services.model_family.tasks.words import MONTHS, NAMES, THINGS, WEEKDAYS


def near(rng: Random, value: int) -> tuple[str, ...]:
    """Three distinct plausible slips around ``value``, none equal to it, none negative."""
    slips = [value + d for d in (-10, -2, -1, 1, 2, 10) if value + d >= 0]
    return tuple(str(s) for s in rng.sample(slips, 3))


def ask(rng: Random, expression: str) -> str:
    form = rng.choice(
        ("What is {}?", "Calculate {}.", "How much is {}?", "Work out {}.", "{} = ?", "Compute {}.")
    )
    return form.format(expression)


def arithmetic(rng: Random) -> DrawnQuestion:
    kind = rng.randrange(3)
    if kind == 0:
        a, b = rng.randint(2, rng.choice((20, 99))), rng.randint(2, rng.choice((9, 9, 99)))
        text, value = f"{a} + {b}", a + b
    elif kind == 1:
        a = rng.randint(4, rng.choice((20, 99)))
        b = rng.randint(2, min(a - 1, rng.choice((9, 9, 99))))
        text, value = f"{a} - {b}", a - b
    else:
        a, b = rng.randint(2, 10), rng.randint(2, 10)
        text, value = f"{a} * {b}", a * b
    return DrawnQuestion(prompt=ask(rng, text), answer=str(value), wrong=near(rng, value))


def expression(rng: Random) -> DrawnQuestion:
    """Several operations without steps: each needs the result of the one before."""
    a, b, c = rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 6)
    form = rng.randrange(4)
    if form == 0:
        text, value = f"{a} + {b} + {c}", a + b + c
    elif form == 1:
        c = rng.randint(1, a + b)
        text, value = f"{a} + {b} - {c}", a + b - c
    elif form == 2:
        a, b, c = rng.randint(1, 4), rng.randint(1, 4), rng.randint(2, 3)
        text, value = f"({a} + {b}) * {c}", (a + b) * c
    else:
        a, b = rng.randint(2, 4), rng.randint(2, 4)
        text, value = f"{a} * {b} + {c}", a * b + c
    return DrawnQuestion(prompt=ask(rng, text), answer=str(value), wrong=near(rng, value))


def addition_steps(rng: Random) -> DrawnQuestion:
    width = rng.choice((2, 3, 3))
    a, b = (rng.randint(10 ** (width - 1), 10**width - 1) for _ in range(2))
    form = rng.choice(("Add {} and {} digit by digit.", "Add {} to {} step by step."))
    return DrawnQuestion(prompt=form.format(a, b), answer=f"{addition(a, b)}. Answer: {a + b}")


def addition(a: int, b: int) -> str:
    """The steps of adding two numbers of as many digits, from the last digit on."""
    steps, carry = [], 0
    for x, y in zip(reversed(str(a)), reversed(str(b)), strict=True):
        total = int(x) + int(y) + carry
        steps.append(f"{x}+{y}+{carry}={total}")
        carry = total // 10
    return ", ".join(steps)


def word_problem(rng: Random) -> DrawnQuestion:
    who, other = rng.sample(NAMES, 2)
    things = rng.choice(THINGS)
    value = rng.randint(3, 20)
    parts = [rng.choice(("{} has {} {}.", "{} owns {} {}.")).format(who, value, things)]
    steps = []
    for _ in range(rng.randint(1, 3)):
        gain = value < 4 or (value < 30 and rng.random() < 0.5)
        amount = rng.randint(2, 9) if gain else rng.randint(1, min(value - 1, 9))
        verbs = ("buys {} more", "finds {} more", f"gets {{}} from {other}")
        losses = (f"gives {{}} to {other}", "loses {}", "sells {}")
        parts.append(f"Then {who} {rng.choice(verbs if gain else losses).format(amount)}.")
        result = value + amount if gain else value - amount
        steps.append(f"{value} {'+' if gain else '-'} {amount} = {result}.")
        value = result
    tail = rng.choice((f"How many {things} does {who} have now?", f"How many {things} are left?"))
    return DrawnQuestion(
        prompt=f"{' '.join(parts)} {tail}", answer=f"{' '.join(steps)} Answer: {value}"
    )


UNITS = (
    ("hours", "minutes", 60),
    ("minutes", "seconds", 60),
    ("weeks", "days", 7),
    ("days", "hours", 24),
    ("years", "months", 12),
    ("metres", "centimetres", 100),
    ("kilometres", "metres", 1000),
    ("kilograms", "grams", 1000),
)


def units(rng: Random) -> DrawnQuestion:
    big, small, factor = rng.choice(UNITS)
    count, rest = rng.randint(2, 9), rng.randint(1, factor - 1 if factor >= 100 else 6)
    product = count * factor
    steps = f"{count} * {factor} = {product}."
    if rng.random() < 0.5:
        prompt = rng.choice(("How many {1} are {0} {2}?", "Convert {0} {2} to {1}."))
        return DrawnQuestion(
            prompt=prompt.format(count, small, big), answer=f"{steps} Answer: {product}"
        )
    prompt = rng.choice(
        ("How many {1} are {0} {2} and {3} {1}?", "Convert {0} {2} and {3} {1} to {1}.")
    )
    total = product + rest
    steps += f" {product} + {rest} = {total}."
    return DrawnQuestion(
        prompt=prompt.format(count, small, big, rest), answer=f"{steps} Answer: {total}"
    )


NOW = ("Today is {}.", "It is {}.", "It is {} now.", "Let us say it is {}.")
LATER = ("Which {0} is it in {1}?", "Which {0} comes {1} later?", "What {0} will it be in {1}?")
BEFORE = ("Which {0} was it {1} ago?", "Which {0} came {1} earlier?", "What {0} was it {1} before?")


def calendar(rng: Random) -> DrawnQuestion:
    names: tuple[str, ...] = WEEKDAYS
    unit, shift = "day", rng.randint(1, 7)
    if rng.random() < 0.3:
        names, unit, shift = MONTHS, "month", rng.randint(1, 3)
    start = rng.randrange(len(names))
    span = f"{shift} {unit}" if shift == 1 else f"{shift} {unit}s"
    if rng.random() < 0.6:
        tail, index = rng.choice(LATER), start + shift
    else:
        tail, index = rng.choice(BEFORE), start - shift
    prompt = f"{rng.choice(NOW).format(names[start])} {tail.format(unit, span)}"
    answer = names[index % len(names)]
    wrong = rng.sample([n for n in names if n != answer], 3)
    return DrawnQuestion(prompt=prompt, answer=answer, wrong=tuple(wrong))


def compare(rng: Random) -> DrawnQuestion:
    numbers = rng.sample(range(10, 1000 if rng.random() < 0.1 else 100), rng.randint(2, 3))
    words = rng.choice(("largest", "biggest")), rng.choice(("smallest", "lowest"))
    largest = rng.random() < 0.5
    word, opposite = words if largest else words[::-1]
    listed = ", ".join(map(str, numbers))
    form = rng.choice(
        ("Which is the {} of these numbers: {}?", "Name the {} number: {}.", "Find the {} of {}.")
    )
    answer = max(numbers) if largest else min(numbers)
    other = min(numbers) if largest else max(numbers)
    more = FollowUp(f"And the {opposite}?", str(other), form.format(opposite, listed))
    wrong = tuple(str(n) for n in numbers if n != answer)
    return DrawnQuestion(
        prompt=form.format(word, listed), answer=str(answer), wrong=wrong, more=(more,)
    )


TASKS = (
    Task(
        name="arithmetic",
        domain="mathematics",
        draw=arithmetic,
        summary="two numbers, result without steps",
    ),
    Task(
        name="expression",
        domain="mathematics",
        draw=expression,
        summary="two operations, result without steps",
    ),
    Task(
        name="addition_steps",
        domain="mathematics",
        draw=addition_steps,
        summary="long addition, every carry written",
    ),
    Task(
        name="word_problem",
        domain="mathematics",
        draw=word_problem,
        summary="a story of one to three changes, steps",
    ),
    Task(name="units", domain="mathematics", draw=units, summary="unit conversion with steps"),
    Task(
        name="calendar",
        domain="mathematics",
        draw=calendar,
        summary="weekdays and months, forwards and backwards",
    ),
    Task(
        name="compare",
        domain="mathematics",
        draw=compare,
        summary="largest or smallest of up to three numbers",
    ),
)
