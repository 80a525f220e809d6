"""For how many answers an audited one stands, when some audits are left out or come to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DONE, MISSED = "done", "missed"
"""What became of the audit of an answer that was drawn for one."""


def made_up_for(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """By decision, what the weights of audited answers are to be multiplied by.

    Of `rows`, outcomes as they are logged, those with an `audit` were drawn by chance, each with
    its `weight`; those whose audit was missed are stood for by those of the same decision whose
    audit was done, in equal parts (weighting-class adjustment; Oh and Scheuren, 1983).
    """
    due: dict[str, float] = {}
    done: dict[str, float] = {}
    for row in rows:
        if row.get("audit") not in (DONE, MISSED):
            continue
        decision, weight = str(row.get("decision")), float(row.get("weight") or 1.0)
        due[decision] = due.get(decision, 0.0) + weight
        if row["audit"] == DONE:
            done[decision] = done.get(decision, 0.0) + weight
    return {decision: due[decision] / weight for decision, weight in done.items()}
