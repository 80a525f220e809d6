"""Accuracy of the specialists and of the members they are made from, in answers and revisions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tqdm import tqdm

from services.model_family.dataset import EVALUATION_SEED, evaluation_set, is_held_out
from services.model_family.evaluation.family import margin, share
from services.model_family.evaluation.generation import Member
from services.model_family.evaluation.scoring import final_answer, is_right
from services.model_family.specialists import (
    COMPARED,
    GENERALIST_MEMBER,
    GROUPS,
    SPECIALISTS,
    Specialist,
)
from services.model_family.tasks.collective import quotable, revision

CASES = (
    ("right", "right"),
    ("right", "wrong"),
    ("wrong", "right"),
    ("wrong", "wrong"),
)
"""Whether one's own answer is right, and the other's."""

# For each case, this part of the number of questions.
REVISION_PART = 16


@dataclass(frozen=True, slots=True)
class Revision:
    """A prompt that asks for a revision, the right answer, and the case of ``CASES`` it is."""

    case: str
    prompt: str
    answer: str


def evaluate(folder: Path, examples: int) -> dict[str, Any]:
    """The figures of the card's section, as JSON types; shares are in [0, 1]."""
    members = {name: Member(folder / name) for name in COMPARED}
    questions = evaluation_set(examples)
    prompts = [question.prompt for question in questions]
    right: dict[str, list[bool]] = {}
    with tqdm(total=len(COMPARED) * examples, unit="answer") as bar:
        for name, member in members.items():
            bar.set_description(name)
            answers = member.answers(prompts, advance=bar.update)
            right[name] = [
                is_right(member.text(ids), question.answer)
                for ids, question in zip(answers, questions, strict=True)
            ]
    labels = [question.task for question in questions]
    return {
        "examples": examples,
        "groups": {
            group: {"examples": sum(labels.count(task) for task in tasks)}
            | {name: share_of(right[name], labels, tasks) for name in COMPARED}
            for group, tasks in GROUPS.items()
        },
        "margin": margin(min(sum(map(labels.count, tasks)) for tasks in GROUPS.values())),
        "tasks": {
            task: {name: share_of(right[name], labels, (task,)) for name in COMPARED}
            for task in dict.fromkeys(labels)
        },
        "revisions": revisions(members, max(1, examples // REVISION_PART)),
        "parameters": {name: member.parameters() for name, member in members.items()},
        "training": {
            specialist.member: json.loads(
                (folder / specialist.member / "training.json").read_text()
            )
            for specialist in SPECIALISTS.values()
        },
    }


def share_of(right: Sequence[bool], labels: Sequence[str], tasks: Sequence[str]) -> float:
    return share(hit for hit, task in zip(right, labels, strict=True) if task in tasks)


def revisions(members: dict[str, Member], count: int) -> dict[str, Any]:
    """By specialist, for itself and for the generalist: what is right after revising, by case."""
    rows: dict[str, Any] = {"examples": count}
    for specialist in SPECIALISTS.values():
        cases = held_out_revisions(specialist, count)
        rows[specialist.member] = {}
        for name in (GENERALIST_MEMBER, specialist.member):
            member = members[name]
            answers = member.answers([case.prompt for case in cases])
            right = [
                is_right(member.text(ids), case.answer)
                for ids, case in zip(answers, cases, strict=True)
            ]
            rows[specialist.member][name] = {
                kind: share(
                    hit for hit, case in zip(right, cases, strict=True) if case.case == kind
                )
                for kind in map(" ".join, CASES)
            }
    return rows


def held_out_revisions(specialist: Specialist, count: int) -> list[Revision]:
    """``count`` of each case, about held-out questions of the specialist's own tasks."""
    revisions: list[Revision] = []
    source = _revisions(specialist, Random(f"revisions:{EVALUATION_SEED}:{specialist.name}"))
    for _ in range(count):
        revisions += next(source)
    return revisions


def _revisions(specialist: Specialist, rng: Random) -> Iterator[list[Revision]]:
    """The four cases of one question after another."""
    kinds = specialist.quotable_kinds()
    while True:
        question = quotable(rng, kinds)
        if len(question.wrong) < 2 or not is_held_out(question.prompt):
            continue
        right = final_answer(question.answer)
        wrong = rng.sample(question.wrong, 2)
        yield [
            Revision(
                f"{own} {other}",
                revision(
                    rng,
                    question,
                    right if own == "right" else wrong[0],
                    right if other == "right" else wrong[1],
                ).prompt,
                question.answer,
            )
            for own, other in CASES
        ]
