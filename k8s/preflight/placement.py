"""Which nodes a pod may run on, and whether all of them find a place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from k8s.preflight.facts import Amounts, Node, Taint
from k8s.preflight.needs import PodNeed

NONE: Amounts = {}


def admitted(pod: PodNeed, nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The usable nodes that the pod's selector, affinity and tolerations leave."""
    return tuple(node for node in nodes if node.usable and admits(node, pod.spec))


def admits(node: Node, spec: Mapping[str, Any]) -> bool:
    selector = spec.get("nodeSelector") or {}
    tolerations = spec.get("tolerations") or ()
    return (
        all(node.labels.get(key) == value for key, value in selector.items())
        and _matches_affinity(node, spec)
        and all(_tolerated(taint, tolerations) for taint in node.taints)
    )


def fits(pod: PodNeed, room: Amounts) -> bool:
    return all(amount <= room.get(name, Decimal(0)) for name, amount in pod.requests.items())


def without_place(
    pods: Iterable[PodNeed], nodes: Sequence[Node], used: Mapping[str, Amounts]
) -> tuple[str, ...]:
    """Owners of pods for which no room is left, the greediest placed first.

    The scheduler may still find a better order: this is a reason to look, and no proof.
    """
    room = {node.name: _left(node.allocatable, used.get(node.name, NONE)) for node in nodes}
    left_over = []
    for pod in sorted(pods, key=_greed, reverse=True):
        candidates = admitted(pod, nodes)
        for _ in range(pod.replicas):
            place = next((node for node in candidates if fits(pod, room[node.name])), None)
            if place is None:
                left_over.append(pod.owner)
                break
            room[place.name] = _left(room[place.name], pod.requests)
    return tuple(left_over)


def _greed(pod: PodNeed) -> tuple[Decimal, Decimal, Decimal]:
    devices = sum(pod.devices.values(), Decimal(0))
    return devices, pod.requests.get("memory", Decimal(0)), pod.requests.get("cpu", Decimal(0))


def _left(room: Amounts, taken: Amounts) -> Amounts:
    return {name: amount - taken.get(name, Decimal(0)) for name, amount in room.items()}


def _tolerated(taint: Taint, tolerations: Iterable[Mapping[str, Any]]) -> bool:
    if taint.effect == "PreferNoSchedule":
        return True
    return any(
        toleration.get("effect") in (None, "", taint.effect)
        and toleration.get("key") in (None, "", taint.key)
        and (
            toleration.get("operator") == "Exists" or (toleration.get("value") or "") == taint.value
        )
        for toleration in tolerations
    )


def _matches_affinity(node: Node, spec: Mapping[str, Any]) -> bool:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(
        all(_matches(node, rule) for rule in term.get("matchExpressions") or ())
        for term in required["nodeSelectorTerms"]
    )


def _matches(node: Node, rule: Mapping[str, Any]) -> bool:
    value = node.labels.get(rule["key"])
    values: Sequence[str] = rule.get("values") or ()
    match rule["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return _above(value, values[0])
        case "Lt":
            return _above(values[0], value)
    return False


def _above(greater: str | None, less: str | None) -> bool:
    """Compare as the scheduler does: a label that is not a whole number never matches."""
    try:
        return int(greater or "") > int(less or "")
    except ValueError:
        return False
