"""The section of the model card on the specialists, made from the figures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.model_family.evaluation.markdown import percent, table
from services.model_family.specialists import COMPARED, SPECIALISTS

SECTION = """\
## Specialists

Device models that are good at one group of tasks: fine-tuned, all weights, on these tasks and on
judging and revising answers to them. They share the family's tokenizer. Exact match by group, on
the first {examples} held-out questions (95 % interval at most ± {margin}):

{groups}

![Exact match of each member and specialist by group](specialists.png)

A member revises when it is shown its own answer and another's. Right afterwards, of {revisions}
held-out questions of the specialist's own tasks, in four cases:

{revised}

{made}

Each specialist's `tierflow-device.json` tells its expertise. Its `model.onnx` holds the graph alone
and reads the weights from `model.safetensors` beside it. The figures are in `specialists.json`,
by task as well; `python -m services.model_family evaluate-specialists --write-card` writes them.
"""


def group_table(figures: Mapping[str, Any]) -> str:
    groups = figures["groups"]
    rows = [(name, *(percent(row[name]) for row in groups.values())) for name in COMPARED]
    counts = [f"{group} ({row['examples']})" for group, row in groups.items()]
    return table(("member", *counts), rows)


def revision_table(figures: Mapping[str, Any]) -> str:
    header = ("group", "member", "both right", "only its own", "only the other", "both wrong")
    rows = [
        (specialist.name, name, *map(percent, shares.values()))
        for specialist in SPECIALISTS.values()
        for name, shares in figures["revisions"][specialist.member].items()
    ]
    return table(header, rows)


def making_table(figures: Mapping[str, Any]) -> str:
    rows = [
        (
            specialist.member,
            specialist.start,
            f"{figures['parameters'][specialist.member] / 1e6:.2f} M",
            ", ".join(specialist.tasks),
            f"{figures['training'][specialist.member]['tokens'] / 1e6:.1f} M",
            f"{figures['training'][specialist.member]['minutes']:.1f}",
        )
        for specialist in SPECIALISTS.values()
    ]
    header = ("specialist", "made from", "parameters", "tasks", "tokens", "minutes on one core")
    return table(header, rows)


def section(figures: Mapping[str, Any]) -> str:
    return SECTION.format(
        examples=figures["examples"],
        margin=percent(figures["margin"]),
        groups=group_table(figures),
        revisions=figures["revisions"]["examples"],
        revised=revision_table(figures),
        made=making_table(figures),
    )
