"""The section of the model card on first questions, made from the figures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.model_family.evaluation.markdown import percent, table
from services.model_family.members import TIERS

GOALS = {"device": 0.55, "edge": 0.75, "cloud": 0.90}
"""Right answers within range that the members are made to reach."""
WRONG_GOAL = 0.10
"""Wrong answers, given as if they were known, that no member should exceed outside of its range."""

SECTION = """\
## First questions

What strangers type first, in words that were written apart from the training's templates:
{within} questions that the family should answer, and {outside} that it can not. None of them was
trained on by the further pass; the first training may have seen some 23.
Right answers, by what was asked:

{kinds}

{goals}

![Right answers to first questions by kind](first_questions.png)

*Wrong as if known* is the share of the questions out of range that got a wrong answer in place of
`Sorry, I do not know that.` The figures are in `first_questions.json`;
`python -m services.model_family evaluate-first --write-card` writes them.

The members were not taught JSON or calls of tools. Where an engine forces the form
(`response_format` with a schema, `tool_choice`), the answer has that form, and its content means
nothing. Use another model for either.
"""


def kind_table(figures: Mapping[str, Any]) -> str:
    rows = [
        (kind, str(row["questions"]), *(percent(row[tier]) for tier in TIERS))
        for kind, row in figures["kinds"].items()
    ]
    total = ("all", str(figures["within"]), *(percent(figures["right"][tier]) for tier in TIERS))
    return table(("kind", "questions", *TIERS), [*rows, total])


def goals(figures: Mapping[str, Any]) -> list[tuple[str, str, float, bool]]:
    """Each goal: its name, the figure wanted, the figure reached, and whether that suffices."""
    right, wrong = figures["right"], figures["confident_wrong_outside"]
    return [
        *(
            (f"{tier}: right", f"≥ {percent(goal)}", right[tier], right[tier] >= goal)
            for tier, goal in GOALS.items()
        ),
        *(
            (
                f"{tier}: wrong as if known",
                f"≤ {percent(WRONG_GOAL)}",
                wrong[tier],
                wrong[tier] <= WRONG_GOAL,
            )
            for tier in TIERS
        ),
    ]


def section(figures: Mapping[str, Any]) -> str:
    rows = [
        (name, wanted, percent(value), "reached" if reached else "missed")
        for name, wanted, value, reached in goals(figures)
    ]
    return SECTION.format(
        within=figures["within"],
        outside=figures["outside"],
        kinds=kind_table(figures),
        goals=table(("goal", "wanted", "reached", ""), rows),
    )
