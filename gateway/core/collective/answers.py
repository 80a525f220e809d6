"""How much two answers agree: their final answers, or the words of long texts.

Members write the texts, so that all work is linear in their lengths whatever they hold.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from gateway.core.final_answer import final_answer, normalised

MAX_WORDS = 512
"""The words of a long text that are compared. Its beginning tells how far it agrees with another,
and the request waits for the comparison."""
AGREES = 0.5
"""The agreement from which on two answers count as the same one."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Reading:
    """A text and the final answer that it names, in its own words (`final`) and normalised (`key`).
    Both are None for a long text that names none."""

    text: str

    @cached_property
    def final(self) -> str | None:
        return final_answer(self.text)

    @cached_property
    def key(self) -> str | None:
        return None if self.final is None else normalised(self.final)

    @cached_property
    def pairs(self) -> Counter[tuple[str, str]]:
        """The number of times that each two words follow each other. The text's start counts as a
        word."""
        words = []
        for match in _WORD.finditer(self.text):
            words.append(match[0].casefold())
            if len(words) == MAX_WORDS:
                break
        return Counter(zip(["", *words], words, strict=False))


def share(final: Reading, other: Reading) -> float:
    """The share of `final`, 0 to 1, that `other` agrees with: 0 or 1 for final answers, for long
    texts the share of pairs of words that both have."""
    if comparable(final, other):
        return float(final.key == other.key)
    return _covered(final.pairs, other.pairs)


def comparable(one: Reading, other: Reading) -> bool:
    """Whether both name a final answer, so that they either agree or do not."""
    return one.key is not None and other.key is not None


def agreement(one: Reading, other: Reading) -> float:
    """The smaller of the two shares that the answers have in each other (see `share`)."""
    if comparable(one, other):
        return float(one.key == other.key)
    fewer, more = sorted((one.pairs, other.pairs), key=Counter.total)
    return _covered(more, fewer)


def _covered(pairs: Counter[tuple[str, str]], others: Counter[tuple[str, str]]) -> float:
    """The share of `pairs` that are among `others`."""
    total = pairs.total()
    common = sum(min(count, others[pair]) for pair, count in pairs.items() if pair in others)
    return common / total if total else 0.0
