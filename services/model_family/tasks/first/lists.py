"""Short lists to sort, and words to spell from their end."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.wording import command, either, question, table
from services.model_family.tasks.words import LETTERS, NAMES, NOUNS, OBJECTS

FORMS = table("lists")
WORDS = tuple(dict.fromkeys((*NOUNS, *OBJECTS, *FORMS["words"])))


def listed(rng: Random, items: list[str]) -> str:
    """The items as typed: mostly with commas."""
    draw = rng.random()
    if draw < 0.66:
        text = ", ".join(items)
    elif draw < 0.78:
        text = " ".join(items)
    elif draw < 0.86:
        text = ",".join(items)
    else:
        text = f"{', '.join(items[:-1])} and {items[-1]}"
    return f"[{text}]" if draw < 0.05 else text


def first_sort(rng: Random) -> DrawnQuestion:
    draw, count = rng.random(), rng.randint(3, 5)
    if draw < 0.6:
        kinds: tuple[str, ...] = (
            "numbers",
            "numbers",
            "numbers",
            "values",
            "integers",
            "items",
            "digits",
            "figures",
        )
        numbers = rng.sample(
            range(rng.choice((0, 1)), rng.choice((10, 20, 100, 100, 100, 1000))), count
        )
        items, order = [str(n) for n in numbers], [str(n) for n in sorted(numbers)]
    elif draw < 0.75:
        kinds = ("letters", "letters", "letters", "characters", "items")
        items = rng.sample(LETTERS, count)
        order = sorted(items)
    else:
        kinds = ("words", "words", "words", "things", "items", "nouns", "names")
        pools = ((*NOUNS, "cat", "dog", "apple"), (*NOUNS, *NAMES), WORDS, NAMES)
        items = rng.sample(rng.choice(pools), count)
        order = sorted(items)
    falling = rng.random() < 0.2
    if draw < 0.6:
        how = either(FORMS["falling" if falling else "rising"])
    else:
        how = either(FORMS["backwards" if falling else "alphabetical"])
    slots = {"kind": rng.choice(kinds), "list": listed(rng, items)}
    if falling:
        order.reverse()
    elif rng.random() < 0.2:
        return DrawnQuestion(
            prompt=command(rng, FORMS["sorting"], **slots), answer=", ".join(order)
        )
    if rng.random() < 0.7:
        form = rng.choice(FORMS["ordered"]).replace("{how}", how)
        return DrawnQuestion(prompt=command(rng, (form,), **slots), answer=", ".join(order))
    form = rng.choice(FORMS["ordered_questions"]).replace("{how}", how)
    return DrawnQuestion(prompt=question(rng, (form,), **slots), answer=", ".join(order))


def first_reversal(rng: Random) -> DrawnQuestion:
    word = rng.choice(WORDS)
    draw = rng.random()
    as_typed = f'"{word}"' if draw < 0.15 else f"'{word}'" if draw < 0.3 else word
    if draw > 0.92:
        as_typed = word.capitalize() if draw > 0.96 else word.upper()
    if rng.random() < 0.65:
        return DrawnQuestion(prompt=command(rng, FORMS["reversals"], w=as_typed), answer=word[::-1])
    return DrawnQuestion(
        prompt=question(rng, FORMS["reversal_questions"], w=as_typed), answer=word[::-1]
    )


TASKS = (
    Task(
        name="first_sort",
        domain="code",
        draw=first_sort,
        summary="three to five numbers, letters or words in order, in any words",
    ),
    Task(
        name="first_reversal",
        domain="code",
        draw=first_reversal,
        summary="a word from its end, in any words",
    ),
)
