"""The specialists: the tasks of each, and the description with which its device registers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.model_family.members import TIERS, member
from services.model_family.tasks import collective, dialogue
from services.model_family.tasks.example import Task
from services.model_family.tasks.registry import BY_NAME

DESCRIPTION_FILE = "tierflow-device.json"
"""Written beside the weights; a device that registers sends its content."""

JUDGE_SHARE, REVISE_SHARE = 0.05, 0.10


GENERALIST_MEMBER = member(TIERS[0])

# What stands beside a word can only be looked up with two layers: the first tells each token what
# stands before it, the second finds the token that was told so. The device member has one.
TWO_LAYERS = member(TIERS[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialist:
    """A device model that is fine-tuned on some tasks.

    ``description`` is for people and for an embedding model that matches it to questions.
    ``tasks`` are names of the registry, all of which have the specialist's own domain.
    """

    name: str
    description: str
    tags: tuple[str, ...]
    tasks: tuple[str, ...]
    start: str = GENERALIST_MEMBER
    """The member that it is fine-tuned from."""

    @property
    def member(self) -> str:
        """The published name, which is the folder's name as well."""
        return f"{GENERALIST_MEMBER}-{self.name}"

    def weights(self, drawn: Sequence[float]) -> list[float]:
        """How often each of ``training_tasks`` is drawn, given the weights ``drawn`` of them.

        Only those of its own tasks count: the collective tasks have a fixed share.
        """
        return training_weights(list(drawn[: len(self.tasks)]))

    def own_tasks(self) -> tuple[Task, ...]:
        return tuple(BY_NAME[name] for name in self.tasks)

    def quotable_kinds(self) -> tuple[collective.QuestionKind, ...]:
        """Its kinds of questions with known wrong answers to quote; written code has none."""
        return tuple(task.draw for task in self.own_tasks() if not task.plain)

    def training_tasks(self) -> tuple[Task, ...]:
        """Its own tasks, then ``judge`` and ``revise`` about questions of those tasks alone."""
        kinds = self.quotable_kinds()
        about_own = {"judge": collective.judge, "revise": collective.revise}
        return (
            *self.own_tasks(),
            *(
                Task(
                    name=name,
                    domain="reading",
                    draw=partial(draw, kinds=kinds),
                    summary=BY_NAME[name].summary,
                )
                for name, draw in about_own.items()
            ),
        )


def training_weights(own: list[float]) -> list[float]:
    """How often each of ``training_tasks`` is drawn, given the weights of the specialist's own."""
    rest = 1 - JUDGE_SHARE - REVISE_SHARE
    return [*(rest * weight / sum(own) for weight in own), JUDGE_SHARE, REVISE_SHARE]


SPECIALISTS: Mapping[str, Specialist] = {
    specialist.name: specialist
    for specialist in (
        Specialist(
            name="mathematics",
            description=(
                "Mathematics: adds, subtracts and multiplies small numbers, works out "
                "expressions, word problems, unit conversions, weekdays and months, and "
                "compares numbers."
            ),
            tags=("mathematics", "arithmetic", "units", "calendar"),
            tasks=(
                "arithmetic",
                "expression",
                "addition_steps",
                "word_problem",
                "units",
                "calendar",
                "compare",
            ),
        ),
        Specialist(
            name="code",
            description=(
                "Python code: writes small functions, says what a short program prints, "
                "indexes lists, follows variables through assignments and applies look-up "
                "tables f and g in turn."
            ),
            tags=("code", "python", "programs"),
            tasks=(
                "write_function",
                "follow_variables",
                "evaluate_code",
                "nested_calls",
                "list_item",
            ),
            start=TWO_LAYERS,
        ),
        Specialist(
            name="lists",
            description=(
                "Lists: sorts and reverses lists of numbers, letters and words, picks items, "
                "words and neighbours by their place, and finds the largest, the smallest, "
                "first or last."
            ),
            tags=("lists", "sorting", "ranking"),
            tasks=("sort_list", "reverse_list", "list_item", "word_in_list", "ranking", "compare"),
        ),
        Specialist(
            name="reading",
            description=(
                "Reading: answers questions about a short passage on people, where they live, "
                "their jobs, pets and friends, and on where objects are or have been carried."
            ),
            tags=("reading", "passages", "people", "places"),
            tasks=("passage_fact", "passage_hops", "nested_places", "track_object"),
            start=TWO_LAYERS,
        ),
    )
}

GROUPS: Mapping[str, tuple[str, ...]] = {
    **{specialist.name: specialist.tasks for specialist in SPECIALISTS.values()},
    "dialogue": tuple(task.name for task in dialogue.TASKS),
}
"""The tasks by which specialists are compared."""

COMPARED = (
    *dict.fromkeys((GENERALIST_MEMBER, *(specialist.start for specialist in SPECIALISTS.values()))),
    *(specialist.member for specialist in SPECIALISTS.values()),
)
"""Names of the members that specialists are made from, then of the specialists."""

GENERALIST: Mapping[str, Any] = {
    "description": "Short general questions: greetings and small talk, opposites, capitals and "
    "colours, and a little of arithmetic, lists, small programs and short passages.",
    "tags": ["general", "dialogue"],
    "domains": ["general"],
}
"""What the device member itself says of its expertise."""


def self_description(specialist: Specialist) -> dict[str, Any]:
    """The content of ``DESCRIPTION_FILE``."""
    return {
        "description": specialist.description,
        "tags": list(specialist.tags),
        "domains": [specialist.name],
    }
