"""Answers: the final answer in a text, and how much two answers agree.

Members write the texts, so that all work is linear in their lengths whatever they hold.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

SHORT_CHARS = 160
"""A text of one line up to this length is itself the final answer."""
MAX_WORDS = 512
"""The words of a long text that are compared. Its beginning tells how far it agrees with another,
and the request waits for the comparison."""
AGREES = 0.5
"""The agreement from which on two answers count as the same one."""

_LEAD = re.compile(r"\banswer\s*[:：]", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NUMBER = re.compile(r"[-+]?\d{1,30}\.\d{0,30}")
_WORD = re.compile(r"\w+")
_EDGES = " \t\r\n.;:!?\"'`*_$“”‘’«»"


def final_answer(text: str) -> str | None:
    """The line after the last `Answer:`, or all of a short text of one line, or None."""
    leads = list(_LEAD.finditer(text))
    if leads:
        tail = text[leads[-1].end() :].strip()
        return tail.splitlines()[0].strip() if tail else None
    whole = text.strip()
    if whole and len(whole) <= SHORT_CHARS and len(whole.splitlines()) == 1:
        return whole
    return None


def normalised(answer: str) -> str:
    """The same text for answers that differ only in case, spaces, quotes, end marks or a number's
    form."""
    text = " ".join(answer.casefold().split()).strip(_EDGES)
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if _NUMBER.fullmatch(text):
        text = text.rstrip("0").rstrip(".")
    return re.sub(r" ?, ?", ", ", text)


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
