"""Capitals and the calendar."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.dialogue import CAPITALS
from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.sums import spelled
from services.model_family.tasks.first.wording import question, typed
from services.model_family.tasks.words import MONTHS, WEEKDAYS

MORE_CAPITALS = (
    ("England", "London"), ("Portugal", "Lisbon"), ("Sweden", "Stockholm"), ("Denmark", "Copenhagen"),
    ("Finland", "Helsinki"), ("Poland", "Warsaw"), ("Russia", "Moscow"), ("China", "Beijing"), ("Cuba", "Havana"),
    ("Chile", "Santiago"), ("Kenya", "Nairobi"), ("Turkey", "Ankara"), ("Belgium", "Brussels"),
    ("Hungary", "Budapest"), ("Canada", "Ottawa"), ("Australia", "Canberra"), ("the Netherlands", "Amsterdam"),
    ("Switzerland", "Bern"), ("Thailand", "Bangkok"), ("Ukraine", "Kyiv"), ("the United States", "Washington"),
    ("Argentina", "Buenos Aires"), ("Mexico", "Mexico City"), ("Brazil", "Brasilia"),
)  # fmt: skip
ALSO_CALLED = {
    "England": ("the UK", "Great Britain", "Britain", "the United Kingdom", "UK"),
    "the Netherlands": ("Holland", "Netherlands", "the netherlands"),
    "the United States": ("the USA", "the US", "America", "USA", "the United States of America", "United States"),
}  # fmt: skip

CAPITAL_FORMS = (
    "[what is|what's|whats|which is|name|give me|tell me|say] [the|] capital[| city] of {c}", "[what is|what's] {c}'s capital[| city]",
    "[the|] capital[| city] of {c}[| is| =| is what]", "{c} capital[| city]", "{c}'s capital[| city]", "capital {c}", "capital [for|in] {c}",
    "[which|what] [city|town|place] is [the capital|the capital city|capital|the seat of government] of {c}", "[what|which] capital does {c} have", "{c} has [which|what] capital", "[which|what] city rules {c}", "[what|which] is the [main city and capital|capital town|official capital] of {c}",
    "[what|which] [city|] is the capital [in|for] {c}", "{c} - [what is|what's] [the|its] capital", "[in|for] {c}, [what|which] city is the capital", "[in|from] [what|which] city is {c} [governed|ruled]",
    "where is the [government|capital|seat of government|parliament] of {c}", "[the name of|name] {c}'s capital", "how is the capital of {c} called", "[what is|what's] the name of [the capital of {c}|{c}'s capital|the capital city of {c}]", "[i forgot|i don't know|i need] the capital of {c}", "what do you call the capital of {c}", "the capital of {c}, [what is it|which city is it|what's it called|name]",
    "which city [serves as|acts as] [the|] capital of {c}", "where does the government of {c} sit", "[if i go|i travel|i'm going] to {c}, [what is|what's] its capital", "{c}: capital",
)  # fmt: skip
COUNTRY_FORMS = (
    "{city} is the capital of [which|what] [country|nation|land|state]", "[which|what] [country|nation|land] has {city} as [its|the|a] capital[| city]", "of [which|what] country is {city} the capital[| city]", "[which|what] [country|nation] is {city} the capital of", "{city} is [the|] capital of", "[what|which] country's capital is {city}",
    "{city} is [the capital of|capital of|the capital for]", "{city} is the capital [city|] of [which|what] [country|place]", "[in|] [which|what] country is {city} the capital", "whose capital is {city}", "which country is ruled from {city}",
)  # fmt: skip

NEXT = (
    "[what|which] {u} [comes|is|follows|comes right|is right|comes directly] after {x}", "[what|which] {u} follows {x}", "[what|which] is the {u} after {x}", "[what's|whats|what is] [after|the {u} after|next after|the next {u} after|the day following] {x}", "the {u} after {x}", "[what|which] {u} is next[| if it is| after] {x}",
    "after {x} comes", "after {x} [comes|is] [what|which {u}]", "{x} is followed by[| what| which {u}]", "{u} after {x}", "if [today is|it is|it's|this is] {x}, what [is tomorrow|{u} comes next|is the next {u}|is next]", "what comes [after|next after|behind] {x}", "next {u} after {x}", "name the {u} [after|that follows|following] {x}", "when {x} is over, [what|which] {u} [begins|starts|is it|comes]",
)  # fmt: skip
PREVIOUS = (
    "[what|which] {u} [comes|is|was|comes right|comes just] before {x}", "[what|which] {u} precedes {x}", "[what|which] is the {u} before {x}", "[what's|whats|what is] [before|the {u} before|the {u} preceding] {x}", "the {u} before {x}", "before {x} comes", "before {x} [comes|is] [what|which {u}]", "{u} before {x}",
    "if [today is|it is|it's|this is] {x}, what [was yesterday|{u} came before|was the {u} before|was the last {u}]", "what [comes|was|came] before {x}", "name the {u} [before|that precedes|preceding] {x}", "{x} comes [right|] after [which|what] {u}", "{x} follows [which|what] {u}", "the last {u} before {x}",
)  # fmt: skip
DAY_AFTER_NEXT = (
    "if today is {x}, what day is [it|] the day after tomorrow", "today is {x}, what day is the day after tomorrow", "[what|which] day is the day after tomorrow [if|when] today is {x}", "[what|which] day comes two days after {x}",
)  # fmt: skip
AHEAD = (
    "[if today is|today is|it is|it's|if it is|if it's|given today is|suppose today is|say it is] {x}, [what|which] {u} [is it|will it be|is|comes] in {n} {us}", "[what|which] {u} is {n} {us} after {x}", "{n} {us} after {x} is[| what {u}| which {u}]", "[what|which] {u} [is it|will it be|comes] {n} {us} after {x}", "in {n} {us} from {x}, what {u} is it", "{x} plus {n} {us}",
    "{n} {us} from {x} is [what|which] {u}", "what {u} comes {n} {us} later than {x}", "[starting|counting] from {x}, what {u} is it [after|in] {n} {us}",
)  # fmt: skip
BACK = (
    "[if today is|today is|it is|it's|if it is|if it's|suppose today is] {x}, [what|which] {u} was [it|] {n} {us} ago", "[what|which] {u} [is|was|comes] {n} {us} before {x}", "{n} {us} before {x} is[| what {u}| which {u}| was]", "[what|which] {u} was it {n} {us} before {x}", "{x} minus {n} {us}",
)  # fmt: skip
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
)  # fmt: skip
SHORT_ORDINALS = ("1st", "2nd", "3rd", *(f"{number}th" for number in range(4, 13)))
PLACES = (
    "the {o} {u} is called", "how is the {o} {u} called", "what do you call the {o} {u}",
    "[what|which] is the {o} {u}[| of the {whole}| in the {whole}]", "[what|which] {u} is [the|] {o}[| one][| of the {whole}| in the {whole}]", "the {o} {u}[| of the {whole}| in the {whole}]", "[what's|name|say|tell me] the {o} {u}[| of the {whole}| in the {whole}]", "[what|which] {u} comes {o}[| in the {whole}]", "{u} number {k}[| of the {whole}]", "[what|which] is {u} [number|no] {k}",
)  # fmt: skip
LASTS = ("[what|which] is the last {u} of the {whole}", "the last {u} of the {whole}", "[what|which] {u} [ends the {whole}|is the last|comes last][| of the {whole}]", "with [which|what] {u} does the {whole} end", "name the last {u} of the {whole}")  # fmt: skip
POSITIONS = (
    "[what|which] number is [the month|] {x}[| in the year]", "[which|what] [place|number|position] [has|does] {x} [have|] in the year", "what month number is {x}", "{x} is [which|what] month[| number| of the year]", "{x} is month number", "what is the number of [the month|] {x}",
)  # fmt: skip

# What is counted, in what, with the number; both as typed.
COUNTS = (
    (("days",), ("a week", "one week", "the week", "1 week"), "7"), (("days",), ("a year", "one year", "a normal year", "the year", "1 year", "a common year"), "365"),
    (("days",), ("a leap year", "leap years"), "366"), (("months",), ("a year", "one year", "the year", "1 year"), "12"), (("hours",), ("a day", "one day", "the day", "1 day"), "24"),
    (("minutes", "mins"), ("an hour", "one hour", "the hour", "1 hour"), "60"), (("seconds", "secs"), ("a minute", "one minute", "1 minute"), "60"), (("weeks",), ("a year", "one year", "the year"), "52"),
    (("seasons",), ("a year", "one year", "the year"), "4"), (("days",), ("a weekend", "the weekend"), "2"), (("minutes",), ("half an hour", "a half hour"), "30"), (("years",), ("a century", "one century"), "100"), (("years",), ("a decade", "one decade"), "10"),
    (("minutes",), ("a quarter of an hour",), "15"), (("hours",), ("half a day",), "12"), (("weekdays", "working days"), ("a week",), "5"), (("months",), ("half a year",), "6"), (("days",), ("two weeks", "2 weeks"), "14"), (("hours",), ("two days", "2 days"), "48"), (("seconds",), ("an hour", "one hour"), "3600"),
)  # fmt: skip
COUNT_FORMS = (
    "how many {t} [are in|are there in|does|has|make|are|in|is|form|make up] {w}", "how many {t} [are in|are there in|in] {w}", "how many {t} does {w} [have|contain|last|take|count]", "how many {t} has {w}", "[what is|what's] the number of {t} in {w}", "number of {t} in {w}", "{w} has how many {t}", "{t} in {w}", "{t} per {w}",
    "how many {t} [do we have|exist] in {w}", "in {w}, how many {t} are there", "{w} [has|is|lasts] how many {t}", "how long is {w} in {t}", "{w} in {t}", "count the {t} [in|of] {w}",
)  # fmt: skip
LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
LENGTH_FORMS = (
    "how many days [are in|are there in|are|in] [the month of|] {x}", "how many days does [the month of|] {x} [have|last|contain]", "how many days has {x}[| got]", "days in {x}", "how long is {x}[| in days]", "{x} has how many days", "[what is|what's] the number of days in {x}", "number of days in {x}", "how many days [do we have|are there] in {x}", "in {x}, how many days are there",
)  # fmt: skip
NEXT_DATES = (
    "[what|which] [date|day] [comes|is] [right|] after {d}", "the [date|day] after {d}", "[what is|what's] the [date|day] after {d}", "[if today is|today is|if it is] {d}, what [date|] is tomorrow", "[what|which] date follows {d}",
)  # fmt: skip


def first_capital(rng: Random) -> DrawnQuestion:
    country, city = rng.choice(CAPITALS + MORE_CAPITALS)
    if rng.random() < 0.15:
        prompt = question(rng, COUNTRY_FORMS, city=typed(rng, city))
        return DrawnQuestion(prompt=prompt, answer=country)
    if rng.random() < 0.5:
        country = rng.choice((country, *ALSO_CALLED.get(country, ())))
    return DrawnQuestion(prompt=question(rng, CAPITAL_FORMS, c=typed(rng, country)), answer=city)


def first_date(rng: Random) -> DrawnQuestion:
    draw = rng.random()
    if draw < 0.45:
        return in_order(rng)
    if draw < 0.6:
        return in_place(rng)
    if draw < 0.8:
        things, wholes, answer = rng.choice(COUNTS[: rng.choice((8, len(COUNTS)))])
        slots = {"t": rng.choice(things), "w": rng.choice(wholes)}
        return DrawnQuestion(prompt=question(rng, COUNT_FORMS, **slots), answer=answer)
    month = rng.randrange(12)
    name = typed(rng, MONTHS[month])
    if draw < 0.93:
        return DrawnQuestion(
            prompt=question(rng, LENGTH_FORMS, x=name), answer=str(LENGTHS[month])
        )
    day = rng.randint(1, LENGTHS[month] - 1)
    date = f"{name} {day}" if rng.random() < 0.6 else f"{day} {name}"
    after = f"{MONTHS[month]} {day + 1}"
    return DrawnQuestion(prompt=question(rng, NEXT_DATES, d=date), answer=after)


def in_order(rng: Random) -> DrawnQuestion:
    """The day or month before or after another, by one or a few."""
    names, unit = (WEEKDAYS, "day") if rng.random() < 0.6 else (MONTHS, "month")
    at, ahead = rng.randrange(len(names)), rng.random() < 0.65
    slots = {"x": typed(rng, names[at]), "u": unit if rng.random() < 0.95 else f"{unit} of all"}
    slots["u"] = "weekday" if unit == "day" and rng.random() < 0.12 else unit
    if unit == "day" and rng.random() < 0.05:
        prompt = question(rng, DAY_AFTER_NEXT, **slots)
        return DrawnQuestion(prompt=prompt, answer=names[(at + 2) % 7])
    if rng.random() < 0.7:
        shift, forms = 1, NEXT if ahead else PREVIOUS
    else:
        shift, forms = rng.randint(2, 6), AHEAD if ahead else BACK
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
        return DrawnQuestion(prompt=question(rng, LASTS, **slots), answer=names[-1])
    if draw < 0.3 and not days:
        prompt = question(rng, POSITIONS, x=typed(rng, names[at]))
        return DrawnQuestion(prompt=prompt, answer=str(at + 1))
    ordinal = (ORDINALS if rng.random() < 0.75 else SHORT_ORDINALS)[at]
    number = str(at + 1) if rng.random() < 0.6 else spelled(at + 1)
    prompt = question(rng, PLACES, o=ordinal, k=number, **slots)
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
