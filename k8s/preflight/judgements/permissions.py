"""What the caller may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8s.preflight.facts import Reading, Right, Unread
from k8s.preflight.report import Finding, Result


def permissions(check: str, answers: Mapping[Right, Reading[bool]]) -> Finding:
    if not answers:
        return Finding(check=check, result=Result.OK, found="none are needed")
    refused = sorted(right for right, answer in answers.items() if answer is False)
    unread = [answer.reason for answer in answers.values() if isinstance(answer, Unread)]
    if refused:
        todo = "ask a cluster administrator for these rights, in a role bound to you"
        return Finding(
            check=check, result=Result.MISSING, found=f"you may not {_listed(refused)}", todo=todo
        )
    if unread:
        return Finding(check=check, result=Result.NOT_CHECKED, found=unread[0])
    return Finding(check=check, result=Result.OK, found=f"all {len(answers)} that were asked about")


def _listed(rights: Iterable[Right]) -> str:
    """As in `create, patch deployments.apps in tierflow; list nodes in the whole cluster`."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        _, _, resource = str(right).partition(" ")
        verbs.setdefault((resource, right.namespace), []).append(right.verb)
    return "; ".join(
        f"{', '.join(sorted(names))} {resource} in {namespace or 'the whole cluster'}"
        for (resource, namespace), names in sorted(verbs.items())
    )
