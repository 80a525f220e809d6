"""The final answer in a text, and the form in which two final answers are compared.

Cascades and collectives compare answers by this one rule. It is linear in the text's length, as
members of a collective write the texts and nobody has checked them.
"""

from __future__ import annotations

import re
from functools import lru_cache

LEAD = "Answer:"
SHORT_CHARS = 160
"""A text of one line up to this length is itself the final answer."""

_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NUMBER = re.compile(r"[-+]?\d{1,30}\.\d{0,30}")
_EDGES = " \t\r\n.;:!?\"'`*_$“”‘’«»"


def after_lead(text: str, lead: str = LEAD) -> str | None:
    """What follows the last `lead`, whatever its case; None where the text has none.

    A colon at the lead's end may be a full-width one, with blanks before it.
    """
    if not lead.strip():
        return None
    end = None
    for match in _pattern(lead).finditer(text):
        end = match.end()
    return None if end is None else text[end:].strip()


def final_answer(text: str, lead: str = LEAD) -> str | None:
    """The line after the last `lead`, or all of a short text of one line, or None."""
    tail = after_lead(text, lead)
    if tail is not None:
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


def answer_key(text: str, lead: str = LEAD) -> str:
    """The same for texts that give the same answer: of the final answer, or of all the text where
    it names none."""
    return normalised(final_answer(text, lead) or text)


@lru_cache(maxsize=8)
def _pattern(lead: str) -> re.Pattern[str]:
    words = lead.strip()
    head = words.rstrip(":")
    boundary = r"\b" if head[:1].isalnum() else ""
    colon = r"\s*[:：]" if head != words else ""
    return re.compile(boundary + re.escape(head) + colon, re.IGNORECASE)
