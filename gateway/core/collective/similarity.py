"""The similarity of two texts, by their vectors or by their words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import mul

MAX_WORDS = 512
_WORD = re.compile(r"[^\W_]{3,32}")


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of the angle between two vectors of unit length, -1 to 1. Raises ValueError for
    vectors of different lengths."""
    if len(one) != len(other):
        raise ValueError(f"vectors of {len(one)} and {len(other)} numbers can't be compared")
    # `map` and not a loop in Python: this runs for every member while the request waits.
    return float(sum(map(mul, one, other)))


def word_overlap(question: str, description: str, tags: Iterable[str] = ()) -> float:
    """The share of a description's words and tags that the question has, 0 to 1."""
    question_words = _words(question)
    words = _words(description) | {word for tag in tags for word in _words(tag)}
    return len(question_words & words) / len(words) if words else 0.0


def nearest(similarities: Sequence[tuple[str, float]], least: float, default: str) -> str:
    """The name with the highest similarity if that is `least` or more, else `default`."""
    name, best = max(similarities, key=lambda item: item[1], default=(default, -1.0))
    return name if best >= least else default


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    words: set[str] = set()
    for match in _WORD.finditer(text):
        words.add(_stem(match[0].casefold()))
        if len(words) == MAX_WORDS:
            break
    return frozenset(words)


def _stem(word: str) -> str:
    return word.removesuffix("s") if len(word) > 4 else word
