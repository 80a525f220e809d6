"""How close two texts are: by their vectors, or by their words where there are none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import mul

MAX_WORDS = 512
_WORD = re.compile(r"[^\W_]{3,32}")


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Of vectors of unit length."""
    if len(one) != len(other):
        raise ValueError(f"vectors of {len(one)} and {len(other)} numbers can't be compared")
    # Without a step of Python for each number: this is done for every member.
    return float(sum(map(mul, one, other)))


def word_overlap(question: str, description: str, tags: Iterable[str] = ()) -> float:
    """The share of a description's words and tags that the question has, 0 to 1."""
    asked = _words(question)
    offered = _words(description) | {word for tag in tags for word in _words(tag)}
    return len(asked & offered) / len(offered) if offered else 0.0


def nearest(similarities: Sequence[tuple[str, float]], least: float, otherwise: str) -> str:
    """The name with the highest similarity, if that is `least` or more."""
    name, best = max(similarities, key=lambda item: item[1], default=(otherwise, -1.0))
    return name if best >= least else otherwise


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    found: set[str] = set()
    for match in _WORD.finditer(text):
        found.add(_stem(match[0].casefold()))
        if len(found) == MAX_WORDS:
            break
    return frozenset(found)


def _stem(word: str) -> str:
    return word.removesuffix("s") if len(word) > 4 else word
