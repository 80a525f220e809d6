"""The model card and the printed table, made from the figures alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.model_family.evaluation import first_card, specialist_card
from services.model_family.evaluation.markdown import percent, table
from services.model_family.members import TIERS, member
from services.model_family.tasks.registry import BY_NAME

# What the family is made to reach, by tier.
ACCURACY_GOALS = {"device": 0.45, "edge": 0.75, "cloud": 0.90}
AGREEMENT_GOALS = {"device": 0.75, "edge": 0.85}
STEP_GOAL = 0.08


def summary_table(figures: Mapping[str, Any]) -> str:
    rows = []
    for tier in TIERS:
        agreement = figures["agreement"].get(tier)
        rate = figures["tokens_per_second"].get(tier)
        rows.append(
            (
                member(tier),
                f"{figures['parameters'][tier] / 1e6:.2f} M",
                percent(figures["accuracy"][tier]),
                percent(agreement) if agreement is not None else "(itself)",
                str(rate) if rate is not None else "not measured",
                f"{figures['megabytes'][tier]:.1f} MB",
            )
        )
    header = ("member", "parameters", "exact match", "agreement with cloud", "tokens/s", "files")
    return table(header, rows)


def task_table(figures: Mapping[str, Any]) -> str:
    rows = [
        (name, row["domain"], *(percent(row[tier]) for tier in TIERS), BY_NAME[name].summary)
        for name, row in figures["tasks"].items()
    ]
    return table(("task", "domain", *TIERS, "what it asks"), rows)


def domain_table(figures: Mapping[str, Any]) -> str:
    rows = [
        (name, str(row["examples"]), *(percent(row[tier]) for tier in TIERS))
        for name, row in figures["domains"].items()
    ]
    return table(("domain", "questions", *TIERS), rows)


def goals(figures: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Each goal with the figure wanted and the figure reached, as shares."""
    accuracy = figures["accuracy"]
    rows = [(f"{t}: exact match", goal, accuracy[t]) for t, goal in ACCURACY_GOALS.items()]
    rows += [
        (f"{high} above {low}", STEP_GOAL, round(accuracy[high] - accuracy[low], 4))
        for low, high in zip(TIERS, TIERS[1:], strict=False)
    ]
    rows += [
        (f"{t}: agreement with cloud", goal, figures["agreement"][t])
        for t, goal in AGREEMENT_GOALS.items()
    ]
    return rows


def goal_table(figures: Mapping[str, Any]) -> str:
    rows = [
        (name, percent(goal), percent(reached), "reached" if reached >= goal else "missed")
        for name, goal, reached in goals(figures)
    ]
    return table(("goal", "wanted", "reached", ""), rows)


CARD = """\
---
license: apache-2.0
language: en
tags: [early-exit, familial-model]
---
# The rill family

Three sizes of one small model that share a tokenizer: plain Llama checkpoints for any engine that
loads Llama. They answer short questions of the kinds listed below, in English, and nothing more:
they know next to nothing of the world and are no general assistant.

{summary}

Measured on {examples} held-out questions, the tasks in equal parts (95 % interval at most
± {margin}, of a single task ± {task_margin}). What is held out is the exact text: the same
numbers may have been trained on in other words. *Exact match* compares the final answer.
*Agreement* is the share of the cloud member's own answer tokens that the smaller member, given
the tokens before, picks greedily as well. *Tokens/s* is one request, greedy, through transformers
with a KV cache in float32 on one core of {machine}.

![Accuracy by task](accuracy.png)

## Goals

{goals}

## By domain

{domains}

## By task

{tasks}

{first}{specialists}## Training

{training}

![Loss of each exit](loss.png)

All exits are trained together; see `docs/model-family.md` for the data and the method. The weights
are stored in bfloat16 and evaluated in float32 (`--dtype float32`). This card is written by
`python -m services.model_family evaluate --write-card`.
"""


def training_text(training: Mapping[str, Any]) -> str:
    text = (
        f"Preset `{training['preset']}`: {training['steps']:,} steps, "
        f"{training['tokens'] / 1e6:.1f} M tokens (padding included), "
        f"{training['hours']:.1f} hours of wall time on {training['machine']}. "
        f"Backbone of {training['layers']} layers, width {training['hidden']}, exits after "
        f"{' and '.join(map(str, training['exits']))} layers with a branch of one block each."
    )
    passes = training.get("further", ())
    if not passes:
        return text
    steps, tokens, hours = (sum(one[key] for one in passes) for key in ("steps", "tokens", "hours"))
    return (
        f"{text} Then {'a further pass' if len(passes) == 1 else f'{len(passes)} further passes'} "
        f"over all tasks and first questions: {steps:,} steps, {tokens / 1e6:.1f} M tokens, "
        f"{hours:.1f} hours on {passes[-1]['machine']}."
    )


def model_card(
    figures: Mapping[str, Any],
    specialists: Mapping[str, Any] | None = None,
    first: Mapping[str, Any] | None = None,
) -> str:
    """The card's whole text; without a section on what was not measured.

    ``figures`` are those of ``evaluate``, the others of the specialists and of first questions.
    """
    return CARD.format(
        summary=summary_table(figures),
        examples=figures["examples"],
        margin=percent(figures["margin"]),
        task_margin=percent(figures["margin"] * len(figures["tasks"]) ** 0.5),
        machine=figures["machine"],
        goals=goal_table(figures),
        domains=domain_table(figures),
        tasks=task_table(figures),
        first=f"{first_card.section(first)}\n" if first else "",
        specialists=f"{specialist_card.section(specialists)}\n" if specialists else "",
        training=training_text(figures["training"]),
    )


EVALUATION, SPECIALISTS, FIRST = "evaluation.json", "specialists.json", "first_questions.json"
"""The files of figures beside the card, of which it is made."""


def write_card(weights: Path) -> None:
    """Write ``README.md`` in ``weights`` from the files of figures; the last two may be absent."""
    figures = json.loads((weights / EVALUATION).read_text())
    specialists, first = (
        json.loads((weights / name).read_text()) if (weights / name).exists() else None
        for name in (SPECIALISTS, FIRST)
    )
    (weights / "README.md").write_text(model_card(figures, specialists, first))
