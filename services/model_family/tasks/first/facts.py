"""Capitals and the calendar."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.dialogue import CAPITALS
from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.sums import spelled
from services.model_family.tasks.first.wording import question, table, typed
from services.model_family.tasks.words import MONTHS, WEEKDAYS

FORMS = table("facts")

MORE_CAPITALS = (
    ("England", "London"), ("Portugal", "Lisbon"), ("Sweden", "Stockholm"),
    ("Denmark", "Copenhagen"), ("Finland", "Helsinki"), ("Poland", "Warsaw"),
    ("Russia", "Moscow"), ("China", "Beijing"), ("Cuba", "Havana"), ("Chile", "Santiago"),
    ("Kenya", "Nairobi"), ("Turkey", "Ankara"), ("Belgium", "Brussels"),
    ("Hungary", "Budapest"), ("Canada", "Ottawa"), ("Australia", "Canberra"),
    ("the Netherlands", "Amsterdam"), ("Switzerland", "Bern"), ("Thailand", "Bangkok"),
    ("Ukraine", "Kyiv"), ("the United States", "Washington"), ("Argentina", "Buenos Aires"),
    ("Mexico", "Mexico City"), ("Brazil", "Brasilia"),
)  # fmt: skip
ALSO_CALLED = {
    "England": ("the UK", "Great Britain", "Britain", "the United Kingdom", "UK"),
    "the Netherlands": ("Holland", "Netherlands", "the netherlands"),
    "the United States": ("the USA", "the US", "America", "USA", "United States"),
}

ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth",
)  # fmt: skip
SHORT_ORDINALS = ("1st", "2nd", "3rd", *(f"{number}th" for number in range(4, 13)))

# What is counted, in what, both as typed, and how many there are.
COUNTS = (
    (("days",), ("a week", "one week", "the week", "1 week"), "7"),
    (
        ("days",),
        ("a year", "one year", "a normal year", "the year", "1 year", "a common year"),
        "365",
    ),
    (("days",), ("a leap year", "leap years"), "366"),
    (("months",), ("a year", "one year", "the year", "1 year"), "12"),
    (("hours",), ("a day", "one day", "the day", "1 day"), "24"),
    (("minutes", "mins"), ("an hour", "one hour", "the hour", "1 hour"), "60"),
    (("seconds", "secs"), ("a minute", "one minute", "1 minute"), "60"),
    (("weeks",), ("a year", "one year", "the year"), "52"),
    (("seasons",), ("a year", "one year", "the year"), "4"),
    (("days",), ("a weekend", "the weekend"), "2"),
    (("minutes",), ("half an hour", "a half hour"), "30"),
    (("years",), ("a century", "one century"), "100"),
    (("years",), ("a decade", "one decade"), "10"),
    (("minutes",), ("a quarter of an hour",), "15"),
    (("hours",), ("half a day",), "12"),
    (("weekdays", "working days"), ("a week",), "5"),
    (("months",), ("half a year",), "6"),
    (("days",), ("two weeks", "2 weeks"), "14"),
    (("hours",), ("two days", "2 days"), "48"),
    (("seconds",), ("an hour", "one hour"), "3600"),
)
LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def first_capital(rng: Random) -> DrawnQuestion:
    country, city = rng.choice(CAPITALS + MORE_CAPITALS)
    if rng.random() < 0.15:
        prompt = question(rng, FORMS["country_forms"], city=typed(rng, city))
        return DrawnQuestion(prompt=prompt, answer=country)
    if rng.random() < 0.5:
        country = rng.choice((country, *ALSO_CALLED.get(country, ())))
    return DrawnQuestion(
        prompt=question(rng, FORMS["capital_forms"], c=typed(rng, country)), answer=city
    )


def first_date(rng: Random) -> DrawnQuestion:
    draw = rng.random()
    if draw < 0.45:
        return in_order(rng)
    if draw < 0.6:
        return in_place(rng)
    if draw < 0.8:
        things, wholes, answer = rng.choice(COUNTS[: rng.choice((8, len(COUNTS)))])
        slots = {"t": rng.choice(things), "w": rng.choice(wholes)}
        return DrawnQuestion(prompt=question(rng, FORMS["count_forms"], **slots), answer=answer)
    month = rng.randrange(12)
    name = typed(rng, MONTHS[month])
    if draw < 0.93:
        return DrawnQuestion(
            prompt=question(rng, FORMS["length_forms"], x=name), answer=str(LENGTHS[month])
        )
    day = rng.randint(1, LENGTHS[month] - 1)
    date = f"{name} {day}" if rng.random() < 0.6 else f"{day} {name}"
    after = f"{MONTHS[month]} {day + 1}"
    return DrawnQuestion(prompt=question(rng, FORMS["next_dates"], d=date), answer=after)


def in_order(rng: Random) -> DrawnQuestion:
    """The day or month before or after another, by one or a few."""
    names, unit = (WEEKDAYS, "day") if rng.random() < 0.6 else (MONTHS, "month")
    at, ahead = rng.randrange(len(names)), rng.random() < 0.65
    slots = {"x": typed(rng, names[at]), "u": unit if rng.random() < 0.95 else f"{unit} of all"}
    slots["u"] = "weekday" if unit == "day" and rng.random() < 0.12 else unit
    if unit == "day" and rng.random() < 0.05:
        prompt = question(rng, FORMS["day_after_next"], **slots)
        return DrawnQuestion(prompt=prompt, answer=names[(at + 2) % 7])
    if rng.random() < 0.7:
        shift, forms = 1, FORMS["next"] if ahead else FORMS["previous"]
    else:
        shift, forms = rng.randint(2, 6), FORMS["ahead"] if ahead else FORMS["back"]
        slots |= {"n": spelled(shift) if rng.random() < 0.5 else str(shift), "us": f"{unit}s"}
    index = at + shift if ahead else at - shift
    return DrawnQuestion(prompt=question(rng, forms, **slots), answer=names[index % len(names)])


def in_place(rng: Random) -> DrawnQuestion:
    """The first, second, … or last day or month, and the number of a month."""
    days = rng.random() < 0.35
    names, unit, whole = (WEEKDAYS, "day", "week") if days else (MONTHS, "month", "year")
    at, slots = rng.randrange(len(names)), {"u": unit, "whole": whole}
    draw = rng.random()
    if draw < 0.12:
        return DrawnQuestion(prompt=question(rng, FORMS["lasts"], **slots), answer=names[-1])
    if draw < 0.3 and not days:
        prompt = question(rng, FORMS["positions"], x=typed(rng, names[at]))
        return DrawnQuestion(prompt=prompt, answer=str(at + 1))
    ordinal = (ORDINALS if rng.random() < 0.75 else SHORT_ORDINALS)[at]
    number = str(at + 1) if rng.random() < 0.6 else spelled(at + 1)
    prompt = question(rng, FORMS["places"], o=ordinal, k=number, **slots)
    return DrawnQuestion(prompt=prompt, answer=names[at])


TASKS = (
    Task(
        name="first_capital",
        domain="dialogue",
        draw=first_capital,
        summary="capitals of some countries, and their countries, in any words",
    ),
    Task(
        name="first_date",
        domain="mathematics",
        draw=first_date,
        summary="weekdays, months and their lengths, in any words",
    ),
)
