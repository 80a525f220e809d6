"""Objects that the values name and that must be there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8s.preflight.facts import Named, Reading, Unread
from k8s.preflight.references import Reference
from k8s.preflight.report import Finding, Result

CREATE = {
    "Secret": "create secret generic",
    "ConfigMap": "create configmap",
    "ServiceAccount": "create serviceaccount",
}


def named(
    references: Iterable[Reference], found: Mapping[Named, Reading[frozenset[str] | None]]
) -> list[Finding]:
    """A row for each object."""
    by_object: dict[Named, list[Reference]] = {}
    for reference in references:
        by_object.setdefault(reference.named, []).append(reference)
    return [
        _object(target, uses, found.get(target, Unread("not asked for")))
        for target, uses in sorted(by_object.items())
    ]


def _object(
    target: Named, uses: list[Reference], reading: Reading[frozenset[str] | None]
) -> Finding:
    check = f"{target.kind} {target.name}"
    owners = ", ".join(dict.fromkeys(use.owner for use in uses))
    if isinstance(reading, Unread):
        todo = f"see that it is there: {owners} needs it"
        return Finding(check=check, result=Result.NOT_CHECKED, found=reading.reason, todo=todo)
    result = Result.MISSING if any(use.vital for use in uses) else Result.WARNING
    if reading is None:
        found = f"there is none in {target.namespace}"
        todo = f"{owners} names it: {_create(target, uses)}"
        return Finding(check=check, result=result, found=found, todo=todo)
    lacking = sorted({use.key for use in uses if use.key} - reading)
    if lacking:
        found = f"it lacks {', '.join(lacking)}"
        todo = f"{owners} reads it: add it, or correct its name in the values"
        return Finding(check=check, result=Result.MISSING, found=found, todo=todo)
    return Finding(check=check, result=Result.OK, found="is there")


def _create(target: Named, uses: list[Reference]) -> str:
    command = CREATE.get(target.kind)
    if command is None:
        return "create it, or correct the name in the values"
    keys = "".join(f" --from-literal={key}=…" for key in sorted({u.key for u in uses if u.key}))
    return f"kubectl -n {target.namespace} {command} {target.name}{keys}"
