"""What counts of an answer, and how much two answers agree.

Linear in the texts' lengths whatever they hold: members write them, and nobody checked them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

SHORT_CHARS = 160
"""A whole answer of one line up to this length is its own final answer."""
MAX_WORDS = 512
"""Of a long text: its beginning tells how far it agrees with another, and both are compared while
everybody waits."""
AGREES = 0.5
"""From this agreement on, two answers count as the same one."""

_LEAD = re.compile(r"\banswer\s*[:：]", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NUMBER = re.compile(r"[-+]?\d{1,30}\.\d{0,30}")
_WORD = re.compile(r"\w+")
_EDGES = " \t\r\n.;:!?\"'`*_$“”‘’«»"


def final_answer(text: str) -> str | None:
    """The line after the last `Answer:`; else all of a short text of one line; else None."""
    leads = list(_LEAD.finditer(text))
    if leads:
        tail = text[leads[-1].end() :].strip()
        return tail.splitlines()[0].strip() if tail else None
    whole = text.strip()
    if whole and len(whole) <= SHORT_CHARS and len(whole.splitlines()) == 1:
        return whole
    return None


def normalised(answer: str) -> str:
    """The same for answers that differ in case, spaces, quotes, end marks or a number's form."""
    text = " ".join(answer.casefold().split()).strip(_EDGES)
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if _NUMBER.fullmatch(text):
        text = text.rstrip("0").rstrip(".")
    return re.sub(r" ?, ?", ", ", text)


@dataclass(frozen=True)
class Reading:
    """An answer as it was understood. `final` is its own wording, `key` the normalised one; both
    None for a long text that names no final answer."""

    text: str

    @cached_property
    def final(self) -> str | None:
        return final_answer(self.text)

    @cached_property
    def key(self) -> str | None:
        return None if self.final is None else normalised(self.final)

    @cached_property
    def pairs(self) -> Counter[tuple[str, str]]:
        """How often each two words follow each other; the text's start counts as a word."""
        words = []
        for match in _WORD.finditer(self.text):
            words.append(match[0].casefold())
            if len(words) == MAX_WORDS:
                break
        return Counter(zip(["", *words], words, strict=False))


def share(final: Reading, other: Reading) -> float:
    """What share of `final`, 0 to 1, `other` agrees with.

    Of final answers all or nothing; of long texts the share of pairs of words found in both.
    """
    if comparable(final, other):
        return float(final.key == other.key)
    return _covered(final.pairs, other.pairs)


def comparable(one: Reading, other: Reading) -> bool:
    """Whether both name a final answer, so that they either say the same or do not."""
    return one.key is not None and other.key is not None


def agreement(one: Reading, other: Reading) -> float:
    """As `share`, the same both ways: the smaller of the two."""
    if comparable(one, other):
        return float(one.key == other.key)
    fewer, more = sorted((one.pairs, other.pairs), key=Counter.total)
    return _covered(more, fewer)


def _covered(wanted: Counter[tuple[str, str]], given: Counter[tuple[str, str]]) -> float:
    total = wanted.total()
    found = sum(min(count, given[pair]) for pair, count in wanted.items() if pair in given)
    return found / total if total else 0.0
