"""A line of Python, or a function of one line."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.lists import WORDS
from services.model_family.tasks.first.sums import spelled
from services.model_family.tasks.first.wording import command, either, question, table
from services.model_family.tasks.words import NAMES, VARIABLES

FORMS = table("lines")
MODULES = ("math", "math", "random", "random", "os", "sys", "json", "time", "re", "datetime")

# The name of a function and its body.
OF_TWO = (("add", "a + b"), ("multiply", "a * b"), ("subtract", "a - b"))
OF_ONE = (
    ("double", "x * 2"),
    ("triple", "x * 3"),
    ("square", "x ** 2"),
    ("half", "x / 2"),
    ("increment", "x + 1"),
    ("is_even", "x % 2 == 0"),
)
OF_LIST = ("sum", "len", "max", "min", "sorted")


def first_line(rng: Random) -> DrawnQuestion:
    draw = rng.choices(LINES, (26, 5, 12, 12, 3, 8, 12, 7, 18))[0]
    prompt, answer = draw(rng)
    return DrawnQuestion(prompt=prompt, answer=answer)


def asked(rng: Random, forms: tuple[str, ...], **slots: str) -> str:
    """The wish for a line that does one of ``forms``."""
    do = rng.choice(forms)
    if rng.random() < 0.6:
        return command(rng, (rng.choice(FORMS["lead_in"]) + do,), **slots)
    return question(rng, (rng.choice(FORMS["how_to"]).replace("{do}", do),), **slots)


def quoted(rng: Random, text: str) -> str:
    """A text as typed: often in quotes."""
    draw = rng.random()
    return f'"{text}"' if draw < 0.2 else f"'{text}'" if draw < 0.35 else text


def some_text(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.45:
        return rng.choice(FORMS["texts"])
    if draw < 0.7:
        return rng.choice(WORDS)
    if draw < 0.85:
        return " ".join(rng.sample(WORDS, 2))
    name = rng.choice(NAMES)
    return rng.choice((name, f"hello {name}", f"Hello {name}", f"my name is {name}", f"hi {name}"))


def printed_text(rng: Random) -> tuple[str, str]:
    if rng.random() < 0.15:
        return question(rng, FORMS["hello_world"]), 'print("Hello, World!")'
    text = some_text(rng)
    return asked(rng, FORMS["printed_text"], t=quoted(rng, text)), f'print("{text}")'


def printed_number(rng: Random) -> tuple[str, str]:
    number = str(rng.randint(0, 100))
    return asked(rng, FORMS["printed_number"], n=number), f"print({number})"


def of_list(rng: Random) -> tuple[str, str]:
    """Of a list that is named, or written out."""
    function = rng.choice(OF_LIST[: rng.choice((3, len(OF_LIST)))])
    if rng.random() < 0.4:
        name = rng.choice((*VARIABLES, "numbers", "items", "values", "data", "my_list", "nums"))
        value = shown = name
    else:
        numbers = [rng.randint(0, rng.choice((9, 20))) for _ in range(rng.randint(2, 5))]
        value = f"[{', '.join(map(str, numbers))}]"
        shown = rng.choice((value, value, value, value[1:-1], value.replace(", ", ",")))
    whole = f"{either(FORMS[f'{function}_of_list'])} {either(FORMS['list'])}"
    if rng.random() < 0.7:
        return asked(
            rng, (f"{either(FORMS['print'])} {whole}",), l=shown
        ), f"print({function}({value}))"
    verbs = "[find|finds|get|gets|return|returns|give|gives|compute|computes|calculate|calculates]"
    return asked(rng, (f"{verbs} {whole}",), l=shown), f"{function}({value})"


def loop(rng: Random) -> tuple[str, str]:
    n = rng.randint(2, 20) if rng.random() < 0.8 else rng.choice((25, 30, 50, 100))
    if rng.random() < 0.5:
        forms, code = FORMS["loops_from_zero"], f"for i in range({n}):\n    print(i)"
    else:
        forms, code = FORMS["loops_from_one"], f"for i in range(1, {n + 1}):\n    print(i)"
    spoken = spelled(n) if n <= 20 and rng.random() < 0.15 else str(n)
    return asked(rng, forms, n=spoken, m=str(n - 1)), code


def repeated(rng: Random) -> tuple[str, str]:
    text, n = some_text(rng), rng.randint(2, 10)
    number = spelled(n) if rng.random() < 0.4 else str(n)
    code = f'for i in range({n}):\n    print("{text}")'
    return asked(rng, FORMS["repeats"], t=quoted(rng, text), n=number), code


def squares(rng: Random) -> tuple[str, str]:
    n = rng.randint(3, 20)
    if rng.random() < 0.6:
        return asked(rng, FORMS["squares"], n=str(n), m=str(n - 1)), f"[x ** 2 for x in range({n})]"
    return asked(rng, FORMS["squares_from_one"], n=str(n)), f"[x ** 2 for x in range(1, {n + 1})]"


def assignment(rng: Random) -> tuple[str, str]:
    name = rng.choice((*VARIABLES, "x", "x", "x", "y", "a", "n", "age", "count", "total", "score"))
    if rng.random() < 0.25:
        text = some_text(rng)
        return asked(
            rng, FORMS["text_assignments"], x=name, t=quoted(rng, text)
        ), f'{name} = "{text}"'
    number = str(rng.randint(0, 100))
    return asked(rng, FORMS["assignments"], x=name, n=number), f"{name} = {number}"


def imported(rng: Random) -> tuple[str, str]:
    name = rng.choice(MODULES)
    return asked(rng, FORMS["imports"], m=name), f"import {name}"


def function(rng: Random) -> tuple[str, str]:
    if rng.random() < 0.45:
        known, body = rng.choice(OF_TWO)
        arguments = "a, b"
    else:
        known, body = rng.choice(OF_ONE)
        arguments = "x"
    name = known
    shape = rng.choice(FORMS["functions"]).replace("{do}", rng.choice(FORMS[f"{known}_function"]))
    if "{name}" in shape:
        name = rng.choice((name, name, "f", "run", "compute", "solve", "calc", f"{name}_it", "g"))
    return command(rng, (shape,), name=name), f"def {name}({arguments}):\n    return {body}"


Line = Callable[[Random], tuple[str, str]]
LINES: tuple[Line, ...] = (
    printed_text, printed_number, of_list, loop, repeated, squares, assignment, imported, function,
)  # fmt: skip

TASKS = (
    Task(
        name="first_line",
        domain="code",
        draw=first_line,
        summary="a line of Python, or a function of one line, in any words",
        plain=True,
    ),
)
