"""CPU and memory: what the pods request against what the nodes have left."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from k8s.preflight.facts import Amounts, Node, Reading, Unread
from k8s.preflight.needs import Needs, PodNeed
from k8s.preflight.placement import admitted, fits, without_place
from k8s.preflight.report import Finding, Result

GIB = Decimal(2**30)


def room(
    needs: Needs,
    nodes: Reading[tuple[Node, ...]],
    used: Reading[Mapping[str, Amounts]],
) -> list[Finding]:
    """Every pod alone must fit some node; together they should fit beside what runs already."""
    check = "CPU and memory"
    lasting = [pod for pod in needs.pods if not pod.short_lived]
    if isinstance(nodes, Unread):
        return [Finding(check=check, result=Result.NOT_CHECKED, found=nodes.reason)]
    if not any(node.usable for node in nodes):
        return [Finding(check=check, result=Result.NOT_CHECKED, found="no node is usable")]
    misfits = [finding for pod in lasting if (finding := _alone(pod, nodes))]
    if misfits:
        return misfits
    asked = f"asked for {_together(lasting)}"
    if isinstance(used, Unread):
        left_over = without_place(lasting, nodes, {})
        note = f"; what runs already is not counted ({used.reason})"
    else:
        left_over, note = without_place(lasting, nodes, used), ""
    found = f"{asked}, the nodes have {_left(nodes, used)} left{note}"
    if left_over:
        todo = f"no room for all of {', '.join(left_over)}: add nodes, or lower replicas, requests"
        return [Finding(check=check, result=Result.WARNING, found=found, todo=todo)]
    return [Finding(check=check, result=Result.OK, found=found)]


def _alone(pod: PodNeed, nodes: tuple[Node, ...]) -> Finding | None:
    check = f"a node for {pod.owner}"
    candidates = admitted(pod, nodes)
    if not candidates:
        todo = "label or untaint a node, or change nodeSelector, affinity, tolerations"
        found = "no usable node has the labels it asks for without taints against it"
        return Finding(check=check, result=Result.MISSING, found=found, todo=todo)
    if any(fits(pod, node.allocatable) for node in candidates):
        return None
    largest = max(candidates, key=lambda node: node.allocatable.get("memory", Decimal(0)))
    short = sorted(
        name
        for name, amount in pod.requests.items()
        if all(amount > node.allocatable.get(name, Decimal(0)) for node in candidates)
    )
    lacking = ", ".join(short) or "no single node has all of it"
    found = (
        f"it asks for {_amounts(pod.requests)}; {largest.name} has {_amounts(largest.allocatable)}"
    )
    todo = f"too little: {lacking}; a larger node, or smaller requests in the values"
    return Finding(check=check, result=Result.MISSING, found=found, todo=todo)


def _together(pods: list[PodNeed]) -> str:
    total = {
        name: sum((pod.requests.get(name, Decimal(0)) * pod.replicas for pod in pods), Decimal(0))
        for name in ("cpu", "memory")
    }
    return _amounts(total)


def _left(nodes: tuple[Node, ...], used: Reading[Mapping[str, Amounts]]) -> str:
    taken: Mapping[str, Amounts] = {} if isinstance(used, Unread) else used
    total = {
        name: sum(
            (
                node.allocatable.get(name, Decimal(0))
                - taken.get(node.name, {}).get(name, Decimal(0))
                for node in nodes
                if node.usable
            ),
            Decimal(0),
        )
        for name in ("cpu", "memory")
    }
    return _amounts(total)


def _amounts(amounts: Amounts) -> str:
    """As in `2.5 CPU, 4.0 GiB`."""
    cpu, memory = amounts.get("cpu", Decimal(0)), amounts.get("memory", Decimal(0)) / GIB
    return f"{cpu.normalize():f} CPU, {memory:.1f} GiB"
