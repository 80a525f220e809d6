"""Accuracy, agreement and speed of an exported family, measured on the files as exported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from services.model_family.dataset import evaluation_set
from services.model_family.evaluation.generation import Member
from services.model_family.evaluation.scoring import is_right
from services.model_family.members import TIERS, check_members, member
from services.model_family.tasks.example import Example


def evaluate(folder: Path, examples: int, speed: bool = True) -> dict[str, Any]:
    """The figures of the card, as JSON types; shares are in [0, 1].

    Raises IncompleteFamily.
    """
    check_members(folder)
    questions = evaluation_set(examples)
    prompts = [question.prompt for question in questions]
    members = {tier: Member(folder / member(tier)) for tier in TIERS}
    answers: dict[str, list[list[int]]] = {}
    right: dict[str, list[bool]] = {}
    with tqdm(total=len(TIERS) * examples, unit="answer") as bar:
        for tier, tier_member in members.items():
            bar.set_description(member(tier))
            answers[tier] = tier_member.answers(prompts, advance=bar.update)
            right[tier] = [
                is_right(tier_member.text(ids), question.answer)
                for ids, question in zip(answers[tier], questions, strict=True)
            ]
    cloud = answers[TIERS[-1]]
    agreement = {
        tier: share(hit for row in members[tier].greedy_matches(prompts, cloud) for hit in row)
        for tier in TIERS[:-1]
    }
    return {
        "examples": examples,
        "accuracy": {tier: share(right[tier]) for tier in TIERS},
        "margin": margin(examples),
        "agreement": agreement,
        "tasks": by_label(questions, right, [q.task for q in questions]),
        "domains": by_label(questions, right, [q.domain for q in questions]),
        "parameters": {tier: members[tier].parameters() for tier in TIERS},
        "tokens_per_second": {
            tier: round(members[tier].tokens_per_second()) for tier in TIERS if speed
        },
        "megabytes": {tier: round(megabytes(folder / member(tier)), 2) for tier in TIERS},
    }


def share(hits: Iterable[bool]) -> float:
    values = list(hits)
    return round(sum(values) / len(values), 4)


def margin(examples: int) -> float:
    """Half the widest 95 % interval of a share among ``examples`` questions."""
    return round(1.96 * math.sqrt(0.25 / examples), 4)


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def by_label(
    questions: Sequence[Example], right: Mapping[str, Sequence[bool]], labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for label in dict.fromkeys(labels):
        chosen = [index for index, name in enumerate(labels) if name == label]
        rows[label] = {
            "domain": questions[chosen[0]].domain,
            "examples": len(chosen),
            **{tier: share(right[tier][index] for index in chosen) for tier in TIERS},
        }
    return rows
