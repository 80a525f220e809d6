"""The nearest right name for a wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

LONGEST = 128
"""Characters. A longer name is none with a letter wrong, and comparing it would take long."""
MISSPELT = 0.8
"""The likeness from which on a name counts as another one with a letter wrong."""


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that is most like this one; None where none is like it.

    `likeness` is a ratio of `difflib`, from 0 (nothing in common) to 1 (the same). Upper and lower
    case count as the same.
    """
    if len(name) > LONGEST:
        return None
    folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=likeness)
    return folded[found[0]] if found else None


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """The known name that was meant, where this one is that with a letter wrong; else None.

    Stricter than `nearest`: names of other numbers, as `qwen-3b` beside `qwen-7b`, are other names.
    """
    numbers = re.findall(r"\d+", name)
    alike = [
        each
        for each in known
        if abs(len(each) - len(name)) <= 1 and re.findall(r"\d+", each) == numbers
    ]
    return nearest(name, alike, MISSPELT)
