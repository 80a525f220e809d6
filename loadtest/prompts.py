"""Questions of the kinds that the shipped family answers, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Mia", "Tom")
THINGS = ("apples", "books", "coins", "stamps", "cups", "keys", "tickets", "flowers")
CITIES = ("Paris", "Rome", "Oslo", "Cairo", "Lima", "Tokyo", "Delhi", "Berlin")
JOBS = ("cook", "nurse", "pilot", "farmer", "baker", "teacher", "painter", "driver")
FUNCTIONS = ("run", "solve", "compute", "apply", "update", "check")
OPERATIONS = ("adds {} to x", "subtracts {} from x", "multiplies x by {}", "divides x by {}")


def story(rng: Random) -> str:
    who, other = rng.sample(NAMES, 2)
    things, start = rng.choice(THINGS), rng.randint(20, 40)
    gained, given = rng.randint(2, 20), rng.randint(2, 19)
    return (
        f"{who} has {start} {things}. Then {who} buys {gained} more. "
        f"Then {who} gives {given} to {other}. How many {things} does {who} have now?"
    )


def long_addition(rng: Random) -> str:
    return f"Add {rng.randint(100, 9999)} and {rng.randint(100, 9999)} digit by digit."


def sorting(rng: Random) -> str:
    numbers = rng.sample(range(1, 100), rng.randint(4, 6))
    return f"Sort these numbers: {', '.join(map(str, numbers))}"


def function(rng: Random) -> str:
    does = rng.choice(OPERATIONS).format(rng.randint(2, 20))
    return f"Write a Python function {rng.choice(FUNCTIONS)} that {does}."


def passage(rng: Random) -> str:
    people, cities, jobs = rng.sample(NAMES, 3), rng.sample(CITIES, 3), rng.sample(JOBS, 3)
    facts = [f"{who} lives in {city}." for who, city in zip(people, cities, strict=True)]
    facts += [f"{who} works as a {job}." for who, job in zip(people, jobs, strict=True)]
    rng.shuffle(facts)
    return f"{' '.join(facts)} Where does {rng.choice(people)} live?"


KINDS: tuple[Callable[[Random], str], ...] = (story, long_addition, sorting, function, passage)


def questions(seed: int) -> Iterator[str]:
    """Questions without end, the kinds in turn."""
    rng = Random(seed)
    while True:
        for kind in KINDS:
            yield kind(rng)


def some_questions(seed: int, count: int) -> list[str]:
    return list(islice(questions(seed), count))
