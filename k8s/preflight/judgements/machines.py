"""The API server's version, the namespace, and the nodes."""

from __future__ import annotations

import re
from collections import Counter

from k8s.preflight.facts import Node, Reading, Unread
from k8s.preflight.report import Finding, Result

OLDEST = (1, 29)
NEWEST = (1, 37)
SUPPORTED = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"


def version(reading: Reading[str]) -> Finding:
    check = "version"
    if isinstance(reading, Unread):
        return Finding(check=check, result=Result.NOT_CHECKED, found=reading.reason)
    parsed = re.match(r"v?(\d+)\.(\d+)", reading)
    if parsed is None:
        return Finding(
            check=check,
            result=Result.NOT_CHECKED,
            found=f"{reading!r} is not a version of Kubernetes",
        )
    found = (int(parsed[1]), int(parsed[2]))
    if found < OLDEST:
        todo = f"upgrade the cluster: the charts are made for {SUPPORTED}"
        return Finding(check=check, result=Result.MISSING, found=reading, todo=todo)
    if found > NEWEST:
        todo = f"newer than the charts are tested with ({SUPPORTED}): try it somewhere else first"
        return Finding(check=check, result=Result.WARNING, found=reading, todo=todo)
    return Finding(check=check, result=Result.OK, found=reading)


def namespace(name: str, reading: Reading[bool]) -> Finding:
    check = f"namespace {name}"
    if isinstance(reading, Unread):
        return Finding(check=check, result=Result.NOT_CHECKED, found=reading.reason)
    if not reading:
        return Finding(
            check=check,
            result=Result.OK,
            found="not there yet",
            todo="helm install with --create-namespace",
        )
    return Finding(check=check, result=Result.OK, found="is there")


def nodes(reading: Reading[tuple[Node, ...]]) -> Finding:
    check = "nodes"
    if isinstance(reading, Unread):
        return Finding(
            check=check,
            result=Result.NOT_CHECKED,
            found=reading.reason,
            todo="ask for the right to list nodes",
        )
    usable = Counter(node.architecture for node in reading if node.usable)
    idle = sorted(node.name for node in reading if not node.usable)
    found = ", ".join(f"{count} {name}" for name, count in sorted(usable.items()))
    if not usable:
        state = "not ready or cordoned: " + ", ".join(idle) if idle else "none at all"
        return Finding(
            check=check,
            result=Result.MISSING,
            found=state,
            todo="bring a node up: kubectl get nodes",
        )
    if idle:
        found += f"; not ready or cordoned: {', '.join(idle)}"
        return Finding(
            check=check,
            result=Result.WARNING,
            found=found,
            todo="kubectl describe node, or kubectl uncordon",
        )
    return Finding(check=check, result=Result.OK, found=found)
