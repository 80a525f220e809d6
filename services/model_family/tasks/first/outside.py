"""What the family does not know or can not do: it says so."""

from __future__ import annotations

import string
from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.sums import calculation, spelled
from services.model_family.tasks.first.wording import expand, question, table
from services.model_family.tasks.words import MONTHS

FORMS = table("outside")

UNKNOWN = "Sorry, I do not know that."
UNABLE = "Sorry, I can not do that."


def first_outside(rng: Random) -> DrawnQuestion:
    draw = rng.random()
    slots = chosen(rng)
    if draw < 0.48:
        forms = FORMS[rng.choices(("general", "anything", "traps"), (45, 30, 25))[0]]
        return DrawnQuestion(prompt=asked(rng, forms, slots), answer=UNKNOWN)
    if draw < 0.6:
        return DrawnQuestion(prompt=asked(rng, FORMS["live"], slots), answer=UNKNOWN)
    if draw < 0.88:
        forms = FORMS[rng.choices(("wishes", "any_wish", "trap_wishes"), (45, 30, 25))[0]]
        return DrawnQuestion(prompt=asked(rng, forms, slots), answer=UNABLE)
    prompt = calculation(rng, rng.choice(FORMS["hard"]), **slots)
    return DrawnQuestion(prompt=prompt, answer=UNABLE)


def asked(rng: Random, forms: tuple[str, ...], slots: dict[str, str]) -> str:
    """A question of ``forms``, at times with the slots' names in small letters."""
    if rng.random() < 0.5:
        slots = {name: text.lower() for name, text in slots.items()}
    return question(rng, (expand(rng, rng.choice(forms)),), **slots)


def invented(rng: Random) -> str:
    """A word that nobody knows."""
    if rng.random() < 0.2:
        return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9)))
    return "".join(rng.choices(FORMS["syllables"], k=rng.randint(2, 4)))


def person(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.6:
        return rng.choice(FORMS["surnames"])
    first, last = invented(rng).capitalize(), invented(rng).capitalize()
    return last if draw < 0.75 else f"{first} {last}"


def some(rng: Random, names: tuple[str, ...], share: float = 0.15) -> str:
    """One of ``names``, or an invented one."""
    return invented(rng) if rng.random() < share else rng.choice(names)


def chosen(rng: Random) -> dict[str, str]:
    """A word for every slot of the forms."""
    return {
        **named(rng),
        **counted(rng),
        "person": person(rng),
        "person2": person(rng),
        "unlisted": some(rng, FORMS["places"], 0.3).title(),
        "town": invented(rng).capitalize(),
        "nonsense": invented(rng),
        "nonsense2": invented(rng),
        "date": f"{rng.choice(MONTHS)} {rng.randint(1, 28)} {rng.randint(1800, 2025)}",
    }


def named(rng: Random) -> dict[str, str]:
    """Words of the table, some of them invented instead."""
    places = (*FORMS["places"], *FORMS["locations"])
    single = tuple(phrase for phrase in FORMS["phrases"] if " " not in phrase)
    return {
        "place": some(rng, places),
        "location": some(rng, FORMS["locations"]),
        "location2": some(rng, FORMS["locations"]),
        "thing": some(rng, FORMS["things"]),
        "thing2": some(rng, FORMS["things"]),
        "subject": some(rng, FORMS["subjects"]),
        "phrase": some(rng, FORMS["phrases"]),
        "word": some(rng, single, 0.4),
        "noun": rng.choice(FORMS["nouns"]),
        "noun2": rng.choice(FORMS["nouns"]),
        "verb": rng.choice(FORMS["verbs"]),
        "adjective": rng.choice(FORMS["adjectives"]),
        "adjective2": rng.choice(FORMS["adjectives"]),
        "property": rng.choice(FORMS["properties"]),
        "work": rng.choice(FORMS["works"]),
        "event": rng.choice(FORMS["events"]),
        "product": rng.choice(FORMS["products"]),
        "genre": rng.choice(FORMS["genres"]),
        "language": rng.choice(FORMS["languages"]),
        "program": rng.choice(FORMS["programs"]),
        "dish": rng.choice(FORMS["dishes"]),
        "act": rng.choice(FORMS["acts"]),
    }


def counted(rng: Random) -> dict[str, str]:
    """Numbers, of which most are too large to calculate with."""
    odd = rng.choice((7, 9, 11, 13, 17, 19, 23, 29, 37))
    return {
        "big": str(rng.randint(13, 999)),
        "big2": str(rng.randint(13, 999)),
        "odd": str(odd) if rng.random() < 0.9 else spelled(odd),
        "huge": str(rng.randint(1000, 10 ** rng.randint(4, 9))),
        "huge2": str(rng.randint(1000, 10**7)),
        "year": str(rng.randint(1000, 2030)),
        "n": str(rng.randint(3, 12)),
        "m": str(rng.randint(2, 99)),
        "p": str(rng.randint(1, 99)),
        "x": str(rng.randint(1, 20)),
        "y": str(rng.randint(1, 99)),
        "z": str(rng.randint(2, 20)),
    }


TASKS = (
    Task(
        name="first_outside",
        domain="dialogue",
        draw=first_outside,
        summary="what the family does not know or can not do",
        plain=True,
    ),
)
