"""What counts of an answer when answers are compared, and how many say the same.

Agreement of samples is self-consistency (Wang et al., 2023), used as a confidence.
"""

from __future__ import annotations

from collections.abc import Sequence


def final(text: str, lead: str = "") -> str:
    """What follows the last `lead`, else all; without case, outer punctuation and spare spaces."""
    _, found, tail = text.rpartition(lead) if lead else ("", "", text)
    words = " ".join((tail if found else text).split())
    return words.strip(" .!?\"'`*").casefold()


def agreement(answer: str, samples: Sequence[str], lead: str = "") -> float:
    """The share of samples whose final answer is that of `answer`; 0 without samples."""
    if not samples:
        return 0.0
    wanted = final(answer, lead)
    return sum(final(sample, lead) == wanted for sample in samples) / len(samples)
