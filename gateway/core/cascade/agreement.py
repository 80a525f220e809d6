"""How many samples give the same answer: self-consistency (Wang et al., 2023, arXiv 2203.11171),
used as a confidence."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.final_answer import LEAD, answer_key


def agreement(answer: str, samples: Sequence[str], lead: str = LEAD) -> float:
    """The share of `samples`, 0 to 1, whose final answer is that of `answer`; 0 without samples."""
    if not samples:
        return 0.0
    key = answer_key(answer, lead)
    return sum(answer_key(sample, lead) == key for sample in samples) / len(samples)
