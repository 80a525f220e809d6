"""CPU, memory, disk and devices: what all pods together request of what the nodes have left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from k8s.preflight.facts import Amounts, Node, Reading, RunningPod, Unread
from k8s.preflight.needs import Needs, PodNeed
from k8s.preflight.packing import Placement, places
from k8s.preflight.placement import admitted, fits, left
from k8s.preflight.quantities import readable
from k8s.preflight.report import Finding, Result

CHECK = "room on the nodes"
MORE = "add nodes, or lower replicas, requests"


def taken(
    pods: Reading[tuple[RunningPod, ...]], needs: Needs, into: str
) -> Reading[Mapping[str, Amounts]]:
    """What other pods than the release's own request, by node: an upgrade replaces its own."""
    if isinstance(pods, Unread):
        return pods
    total: dict[str, dict[str, Decimal]] = {}
    for pod in pods:
        if not is_own(pod, needs, into):
            on_node = total.setdefault(pod.node, {})
            for name, amount in {**pod.requests, "pods": Decimal(1)}.items():
                on_node[name] = on_node.get(name, Decimal(0)) + amount
    return total


def is_own(pod: RunningPod, needs: Needs, into: str) -> bool:
    return any(need.owns(pod, into) for need in needs.pods)


def as_running(needs: Needs, pods: Reading[tuple[RunningPod, ...]], into: str) -> Needs:
    """With as many replicas as run already, where whoever scales them says how many."""
    if isinstance(pods, Unread):
        return needs
    scaled = []
    for need in needs.pods:
        count = sum(need.owns(pod, into) for pod in pods) if need.scaled else 0
        more = count > need.replicas or (need.asleep and count > 0)
        scaled.append(
            replace(need, replicas=max(need.replicas, count), asleep=False) if more else need
        )
    return replace(needs, pods=tuple(scaled))


def runs_already(pods: Reading[tuple[RunningPod, ...]], needs: Needs, into: str) -> bool:
    """Whether this will be an upgrade, as far as is known."""
    return not isinstance(pods, Unread) and any(is_own(pod, needs, into) for pod in pods)


def room(
    needs: Needs,
    nodes: Reading[tuple[Node, ...]],
    used: Reading[Mapping[str, Amounts]],
    *,
    upgrade: bool = False,
) -> list[Finding]:
    """Every pod alone must fit some node, and all together must fit beside what runs already."""
    lasting = [pod for pod in needs.pods if not pod.short_lived]
    if isinstance(nodes, Unread):
        return [Finding(check=CHECK, result=Result.NOT_CHECKED, found=nodes.reason)]
    if not any(node.usable for node in nodes):
        return [Finding(check=CHECK, result=Result.NOT_CHECKED, found="no node is usable")]
    # An install waits for the jobs of its hooks, too.
    awaited = [pod for pod in needs.pods if not pod.is_test]
    misfits = [finding for pod in awaited if (finding := _alone(pod, nodes))]
    if misfits:
        return misfits
    return [_together(lasting, nodes, used, upgrade=upgrade)]


def _together(
    pods: list[PodNeed],
    nodes: tuple[Node, ...],
    reading: Reading[Mapping[str, Amounts]],
    *,
    upgrade: bool,
) -> Finding:
    used: Mapping[str, Amounts] = {} if isinstance(reading, Unread) else reading
    awake = [pod for pod in pods if not pod.asleep]
    at_start = places(awake, nodes, used)
    names = _names(pods)
    found = f"asked for {_amounts(_asked(awake), names)}, the nodes have "
    found += f"{_amounts(_left(nodes, used), names)} left"
    if at_start.placement is Placement.NONE:
        owners = ", ".join(at_start.left_over)
        return _finding(Result.MISSING, found, f"no room for all of {owners}: {MORE}")
    if isinstance(reading, Unread):
        found += f"; what runs already is not counted ({reading.reason})"
        return _finding(Result.NOT_CHECKED, found, "ask for the right to list pods")
    if at_start.placement is not Placement.FITS:
        owners = ", ".join(at_start.left_over)
        todo = f"it is so tight that {owners} may find no room: {MORE}"
        return _finding(Result.WARNING, found, todo)
    if short := places(pods, nodes, used).left_over:
        todo = f"what is scaled to zero has no room when it wakes ({', '.join(short)}): {MORE}"
        return _finding(Result.WARNING, found, todo)
    for pod in awake if upgrade else ():
        if short := places([*awake, _one_more(pod)], nodes, used).left_over if pod.surge else ():
            todo = f"an update starts one more of {pod.owner} first, for which is no room: {MORE}"
            return _finding(Result.WARNING, found, todo)
    return _finding(Result.OK, found, "")


def _finding(result: Result, found: str, todo: str) -> Finding:
    return Finding(check=CHECK, result=result, found=found, todo=todo)


def _one_more(pod: PodNeed) -> PodNeed:
    return replace(pod, replicas=pod.surge)


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
    names = _names([pod])
    found = (
        f"it asks for {_amounts(pod.requests, names)}; {largest.name} has "
        f"{_amounts(largest.allocatable, names)}"
    )
    todo = f"too little: {lacking}; a larger node, or smaller requests in the values"
    return Finding(check=check, result=Result.MISSING, found=found, todo=todo)


def _names(pods: Iterable[PodNeed]) -> list[str]:
    """Of the resources that are asked for; of the usual ones always."""
    further = {name for pod in pods for name, amount in pod.requests.items() if amount > 0}
    return ["cpu", "memory", *sorted(further - {"cpu", "memory"})]


def _asked(pods: Iterable[PodNeed]) -> Amounts:
    total: dict[str, Decimal] = {}
    for pod in pods:
        for name, amount in pod.requests.items():
            total[name] = total.get(name, Decimal(0)) + amount * pod.replicas
    return total


def _left(nodes: tuple[Node, ...], used: Mapping[str, Amounts]) -> Amounts:
    total: dict[str, Decimal] = {}
    for node in nodes:
        for name, amount in left(node, used).items() if node.usable else ():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def _amounts(amounts: Amounts, names: Iterable[str]) -> str:
    """As in `2.5 CPU, 4.0 GiB, 1 nvidia.com/gpu`."""
    return ", ".join(_amount(name, amounts.get(name, Decimal(0))) for name in names)


def _amount(name: str, amount: Decimal) -> str:
    text = readable(name, amount)
    if name == "cpu":
        return f"{text} CPU"
    return text if name == "memory" else f"{text} {name}"
