"""Whether the API server takes the objects beside the pods: its own word."""

from __future__ import annotations

from collections.abc import Mapping

from k8s.preflight.facts import Admission, Reading, Unread
from k8s.preflight.judgements.admission import remedy
from k8s.preflight.report import Finding, Result

CHECK = "objects beside the pods"
ASK = "ask for the right to create them here: until then a mistake in them shows at the install"
OF_OWN = ("exceeded quota", "already allocated")
"""Refusals that may be for what the release itself holds already."""


def creation(answers: Mapping[str, Reading[Admission]], *, upgrade: bool) -> list[Finding]:
    """`answers` by kind and name. A row for all that are taken, one for all that could not be asked
    about, and one for each that is refused."""
    if not answers:
        return []
    unread = {name: answer for name, answer in answers.items() if isinstance(answer, Unread)}
    refused = {
        name: answer.refusal
        for name, answer in answers.items()
        if isinstance(answer, Admission) and answer.refusal
    }
    rows = [_refused(name, refusal, upgrade=upgrade) for name, refusal in refused.items()]
    if unread:
        first, reading = next(iter(unread.items()))
        found = f"{len(unread)} of {len(answers)}, such as {first}: {reading.reason}"
        return [Finding(check=CHECK, result=Result.NOT_CHECKED, found=found, todo=ASK), *rows]
    taken = len(answers) - len(refused)
    found = f"dry runs of {taken} of {len(answers)} were accepted"
    return [Finding(check=CHECK, result=Result.OK, found=found), *rows]


def _refused(name: str, refusal: str, *, upgrade: bool) -> Finding:
    own = upgrade and any(sign in refusal for sign in OF_OWN)
    result = Result.WARNING if own else Result.MISSING
    return Finding(check=f"creation of {name}", result=result, found=refusal, todo=remedy(refusal))
