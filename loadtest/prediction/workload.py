"""Requests to edit a piece of code, and texts that predict the answers well, half, or not at all.

What is the right edit is the model's own business: an answer is whatever the engine says without a
prediction. A predicted text is that answer with lines that were written anew, in hunks as people
edit files. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

NAMES = ("total", "count", "price", "index", "width", "height", "score", "limit", "speed", "value")
STATEMENTS = (
    "{x} = {n}",
    "{x} = {y} + {n}",
    "{x} = {y} * {z}",
    "{x} = max({y}, {z})",
    "{x} += {y}",
    "print({x})",
)
OTHER_STATEMENTS = (
    "if {x} > {n}:\n    {x} -= {y}",
    "for {y} in range({n}):\n    {x} += {y}",
    "{x} = {n} - {z}",
    "{z} = min({x}, {n})",
    "return {x} + {z}",
    "{y} -= {n}",
)
"""Of lines that were written anew: others than those of the questions."""
LINES = 14
HUNK = 3
"""Lines next to one another that are changed together, at most."""


def edit_question(rng: Random) -> str:
    """To rename a variable in some code."""
    *names, new = rng.sample(NAMES, 5)
    code = "\n".join(_statement(rng, STATEMENTS, names) for _ in range(LINES))
    old = rng.choice([name for name in names if name in code])
    return f"Rename {old} to {new} in this code:\n{code}"


def predicted_text(answer: str, share: float, rng: Random) -> str:
    """The answer with all but about this share of its lines written anew."""
    lines = answer.splitlines(keepends=True)
    changed = changed_lines(len(lines), round(len(lines) * (1 - share)), rng)
    for number in changed:
        end = "\n" if lines[number].endswith("\n") else ""
        lines[number] = _statement(rng, OTHER_STATEMENTS, rng.sample(NAMES, 3)) + end
    return "".join(lines)


def changed_lines(count: int, changed: int, rng: Random) -> Sequence[int]:
    """`changed` of so many lines, in hunks."""
    chosen: set[int] = set()
    while len(chosen) < min(changed, count):
        begin = rng.randrange(count)
        for number in range(begin, min(count, begin + HUNK)):
            if len(chosen) < changed:
                chosen.add(number)
    return sorted(chosen)


def _statement(rng: Random, forms: Sequence[str], names: Sequence[str]) -> str:
    x, y, z = rng.choices(names, k=3)
    return rng.choice(forms).format(x=x, y=y, z=z, n=rng.randint(1, 20))
