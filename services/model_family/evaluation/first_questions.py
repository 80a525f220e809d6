"""How well members answer first questions in strangers' words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from services.model_family.chat import END
from services.model_family.evaluation.family import share
from services.model_family.evaluation.generation import Member
from services.model_family.members import TIERS, check_members, member
from services.model_family.wordings import OUTSIDE, Wording, kinds, wordings
from services.model_family.wordings.scoring import is_accepted, says_unknown


def evaluate(folder: Path, name: str = "held_out") -> dict[str, Any]:
    """The figures as JSON types, shares in [0, 1]: of right answers within range by kind, and of
    wrong answers, given as if they were known, outside of it. Raises IncompleteFamily."""
    check_members(folder)
    asked = wordings(name)
    within = [w for w in asked if w.kind != OUTSIDE]
    figures: dict[str, Any] = {
        "within": len(within),
        "outside": len(asked) - len(within),
        "right": {},
        "confident_wrong_outside": {},
        "kinds": {kind: {"questions": sum(w.kind == kind for w in asked)} for kind in kinds(asked)},
    }
    with tqdm(total=len(TIERS) * len(asked), unit="answer") as bar:
        for tier in TIERS:
            bar.set_description(member(tier))
            answers = texts(Member(folder / member(tier)), asked, bar.update)
            right = [is_accepted(w, text) for w, text in zip(asked, answers, strict=True)]
            pairs = list(zip(asked, answers, right, strict=True))
            figures["right"][tier] = share(hit for w, _, hit in pairs if w.kind != OUTSIDE)
            figures["confident_wrong_outside"][tier] = share(
                not hit and not says_unknown(text) for w, text, hit in pairs if w.kind == OUTSIDE
            )
            for kind, row in figures["kinds"].items():
                row[tier] = share(hit for w, _, hit in pairs if w.kind == kind)
    return figures


def texts(asked_member: Member, asked: list[Wording], advance: Any) -> list[str]:
    """The member's greedy answers."""
    answers = asked_member.answers([w.question for w in asked], advance=advance)
    return [asked_member.text(ids).removesuffix(END) for ids in answers]
