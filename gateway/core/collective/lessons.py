"""Lessons: what an answer teaches about the quality of the members that took part in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway.core.collective.answers import AGREES
from gateway.core.collective.report import Report

MEMBERS_DECIDED = frozenset({"agreement", "majority", "weighted"})
"""The values of `Report.decided_by` where members alone decide."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """An observation of a member's quality, 0 to 1, and its weight in observations."""

    device: str
    value: float
    weight: float


def is_evidence(report: Report, *, named: bool) -> bool:
    """Whether an answer says anything about its members. It does not where the caller `named` them,
    as it may have made two devices of its own agree, nor where it is the calling device's own."""
    return report.mode == "members" and not named and report.decided_by != "own"


def lessons_from_agreement(
    shares: Mapping[str, float], *, decided_by_members: bool = False, vague: Collection[str] = ()
) -> list[Lesson]:
    """Agreement with the final answer stands for being right.

    `shares`: of the final answer that each member's answer agrees with. One member alone teaches
    nothing, as the final answer is its own. `decided_by_members`: the final answer is one of
    theirs, so that it counts only if a second member agrees with it.

    `vague`: members whose share is one of words in common, not of final answers. Two good texts
    have few words in common, so that a share counts for a member, and the lack of one does not
    count against it.
    """
    if len(shares) < 2:
        return []
    clear = {device: share for device, share in shares.items() if device not in vague}
    # A member whose text is the final one has a share of 1; it counts as much as the second best.
    second_best = sorted(shares.values())[-2]
    lessons = [Lesson(d, 1.0, min(share, second_best)) for d, share in shares.items() if d in vague]
    agreeing = sum(share >= AGREES for share in clear.values())
    if agreeing >= 2 or not decided_by_members:
        lessons += [Lesson(device, share, 1.0) for device, share in clear.items()]
    return [lesson for lesson in lessons if lesson.weight > 0.0]


def lessons_from_failures(report: Report) -> list[Lesson]:
    """A member that broke the rules gets a quality of 0. So does one that gave an empty answer or
    was too late, where other members answered the same question in that time."""
    lessons = []
    for contribution in report.contributions:
        if contribution.role != "answer" or contribution.answered:
            continue
        # A straggler at an early exit may have been about to answer.
        late = contribution.code == "deadline" or (
            contribution.outcome == "straggler" and report.early_exit is None
        )
        if contribution.code == "misbehaved" or (
            report.answered and (late or contribution.code == "empty")
        ):
            lessons.append(Lesson(contribution.device, 0.0, 1.0))
    return lessons


def lessons_from_feedback(
    shares: Mapping[str, float], score: float, weight: float, vague: Collection[str] = ()
) -> list[Lesson]:
    """The caller's `score` of the final answer, 0 to 1, is the quality of the members that agreed
    with it.

    Those that did not agree were wrong as far as it was right; a wrong final answer says nothing
    about them. The score counts for the `vague` (see `lessons_from_agreement`) by their share.
    """
    lessons = []
    for device, share in shares.items():
        if device in vague:
            if share > 0.0:
                lessons.append(Lesson(device, score, weight * share))
        elif share >= AGREES:
            lessons.append(Lesson(device, score, weight))
        elif score > 0.0:
            lessons.append(Lesson(device, 0.0, weight * score))
    return lessons
