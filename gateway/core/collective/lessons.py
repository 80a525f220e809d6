"""What an answer teaches about the members that took part in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway.core.collective.answers import AGREES
from gateway.core.collective.report import Report

VOTED = frozenset({"agreement", "majority", "weighted"})
"""Ways of deciding in which members alone decide."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """An observation of quality, 0 to 1, and how much it counts."""

    device: str
    value: float
    weight: float


def teaches(report: Report, *, named: bool) -> bool:
    """Whether an answer says anything of its members. Not where the caller `named` them, who may
    have asked two devices of its own to agree, nor where it is the asking device's own word."""
    return report.mode == "members" and not named and report.decided_by != "own"


def from_agreement(
    shares: Mapping[str, float], *, voted: bool = False, vague: Collection[str] = ()
) -> list[Lesson]:
    """Agreement with the final answer stands in for being right. One member alone proves nothing:
    the final answer is its own. `voted`: it is one of theirs in any case, so that a second one must
    agree with it before it counts for or against anybody.

    `vague`: whose shares are of words in common, not of one final answer with another. Two good
    texts have few: some speak for a member, and none says nothing against it.
    """
    if len(shares) < 2:
        return []
    clear = {device: share for device, share in shares.items() if device not in vague}
    # The final text may be a member's own, which shares all of it: no more than a second one does.
    most = sorted(shares.values())[-2]
    lessons = [Lesson(d, 1.0, min(share, most)) for d, share in shares.items() if d in vague]
    if not (voted and sum(share >= AGREES for share in clear.values()) < 2):
        lessons += [Lesson(device, share, 1.0) for device, share in clear.items()]
    return [lesson for lesson in lessons if lesson.weight > 0.0]


def from_failures(report: Report) -> list[Lesson]:
    """One that broke the rules was of no use; one that said nothing, or was waited for in vain, was
    of none where others did better with the same question in the same time."""
    lessons = []
    for part in report.parts:
        if part.role != "answer" or part.answered:
            continue
        # Who was cut off by an early exit may have been about to answer.
        late = part.code == "deadline" or (
            part.outcome == "straggler" and report.early_exit is None
        )
        if part.code == "misbehaved" or (report.answered and (late or part.code == "empty")):
            lessons.append(Lesson(part.device, 0.0, 1.0))
    return lessons


def from_feedback(
    shares: Mapping[str, float], score: float, weight: float, vague: Collection[str] = ()
) -> list[Lesson]:
    """The caller's `score` of the final answer, 0 to 1, goes to those that agreed with it.

    Those that did not were wrong as far as it was right; where it was wrong, that says nothing of
    them. To the `vague` (see `from_agreement`) it goes as far as they had a share in it.
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
