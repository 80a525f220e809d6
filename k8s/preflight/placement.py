"""Which nodes a pod may run on, and what room it takes there. Pure."""

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
    """A node that does not say how many pods it takes is not asked for a place among them."""
    return all(amount <= room.get(name, Decimal(0)) for name, amount in pod.requests.items()) and (
        room.get("pods", Decimal(1)) >= 1
    )


def left(node: Node, used: Mapping[str, Amounts]) -> Amounts:
    """What the node has beside what runs there already."""
    return reduced(node.allocatable, used.get(node.name, NONE))


def reduced(room: Amounts, taken: Amounts) -> Amounts:
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
    return any(_meets(node, term) for term in required["nodeSelectorTerms"])


def _meets(node: Node, term: Mapping[str, Any]) -> bool:
    """A term that says nothing matches no node, as the API has it."""
    fields = {"metadata.name": node.name}
    rules = [
        *((rule, node.labels) for rule in term.get("matchExpressions") or ()),
        *((rule, fields) for rule in term.get("matchFields") or ()),
    ]
    return bool(rules) and all(_matches(known, rule) for rule, known in rules)


def _matches(known: Mapping[str, str], rule: Mapping[str, Any]) -> bool:
    value = known.get(rule["key"])
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
