"""Which nodes a pod may run on, and whether all of them find a place. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from k8s.preflight.facts import Amounts, Node, Taint
from k8s.preflight.needs import PodNeed

NONE: Amounts = {}
ONE_POD = {"pods": Decimal(1)}
HOSTNAME = "kubernetes.io/hostname"
TRIES = 20_000
"""Of a pod on a node: a second or two."""
SEARCHED = 200
"""Pods for which a search is worth its time."""


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
    return _left(node.allocatable, used.get(node.name, NONE))


class Placement(Enum):
    """What is known of pods that need places at the same time."""

    FITS = "the scheduler finds them"
    TIGHT = "they exist, and the scheduler may use them up in another order"
    UNKNOWN = "neither found nor ruled out"
    NONE = "there are not enough"


@dataclass(frozen=True)
class Places:
    placement: Placement
    left_over: tuple[str, ...] = ()
    """Owners of pods that found no room when the greediest were placed first."""


def places(pods: Iterable[PodNeed], nodes: Sequence[Node], used: Mapping[str, Amounts]) -> Places:
    """Judge all pods together. Each of the nodes' resources is given away once.

    First as the scheduler does it, pod by pod to the node that keeps most of its room (its
    NodeResourcesFit with LeastAllocated); then by a search over all ways to place them, which may
    be given up.
    """
    items = [pod for pod in pods for _ in range(pod.replicas)]
    board = _Board(nodes, used)
    if all(board.place(pod, board.roomiest(pod)) for pod in items):
        return Places(Placement.FITS)
    items.sort(key=_greed, reverse=True)
    board, left_over = _Board(nodes, used), []
    for pod in items:
        if not board.place(pod, next(iter(board.candidates(pod)), None)):
            left_over.append(pod.owner)
    owners = tuple(dict.fromkeys(left_over))
    if not left_over:
        return Places(Placement.TIGHT, (items[-1].owner,))
    if _too_much(items, nodes, used):
        return Places(Placement.NONE, owners)
    if len(items) > SEARCHED:
        return Places(Placement.UNKNOWN, owners)
    found = _Search(_Board(nodes, used), items).run()
    return Places(found, owners)


class _Board:
    """The room on each node while pods are placed there one by one, and who stands where."""

    def __init__(self, nodes: Sequence[Node], used: Mapping[str, Amounts]) -> None:
        self._nodes = [node for node in nodes if node.usable]
        self._room = {node.name: left(node, used) for node in self._nodes}
        self._placed: list[tuple[PodNeed, Node]] = []
        self._admitted: dict[int, tuple[Node, ...]] = {}

    def candidates(self, pod: PodNeed) -> Iterator[Node]:
        if id(pod) not in self._admitted:
            self._admitted[id(pod)] = admitted(pod, self._nodes)
        for node in self._admitted[id(pod)]:
            if (
                fits(pod, self._room[node.name])
                and self._apart(pod, node)
                and self._spread(pod, node)
            ):
                yield node

    def roomiest(self, pod: PodNeed) -> Node | None:
        return max(self.candidates(pod), key=lambda node: self._share_left(pod, node), default=None)

    def place(self, pod: PodNeed, node: Node | None) -> bool:
        if node is None:
            return False
        self._room[node.name] = _left(self._room[node.name], {**pod.requests, **ONE_POD})
        self._placed.append((pod, node))
        return True

    def undo(self) -> None:
        pod, node = self._placed.pop()
        given_back = {name: -amount for name, amount in ({**pod.requests, **ONE_POD}).items()}
        self._room[node.name] = _left(self._room[node.name], given_back)

    def looks(self, node: Node) -> Hashable:
        """Nodes that look alike are the same to a search."""
        stands = tuple(sorted(pod.owner for pod, on in self._placed if on.name == node.name))
        traits = tuple(sorted(node.labels.items())), node.taints
        return tuple(sorted(self._room[node.name].items())), stands, traits

    def _share_left(self, pod: PodNeed, node: Node) -> Decimal:
        shares = [
            (self._room[node.name].get(name, Decimal(0)) - pod.requests.get(name, Decimal(0)))
            / whole
            for name in ("cpu", "memory")
            if (whole := node.allocatable.get(name, Decimal(0))) > 0
        ]
        return sum(shares, Decimal(0))

    def _spread(self, pod: PodNeed, node: Node) -> bool:
        """Whether the pod's hard constraints of spreading allow it there."""
        for rule in pod.spec.get("topologySpreadConstraints") or ():
            if rule.get("whenUnsatisfiable", "DoNotSchedule") != "DoNotSchedule":
                continue
            key, selector = rule["topologyKey"], (rule.get("labelSelector") or {})
            wanted = selector.get("matchLabels") or {}
            domains = (_domain(each, key) for each in self._admitted[id(pod)])
            stands = {domain: 0 for domain in domains if domain}
            for other, on in self._placed:
                if wanted.items() <= other.labels.items() and _domain(on, key) in stands:
                    stands[_domain(on, key)] += 1
            here = _domain(node, key)
            if not here or stands[here] + 1 - min(stands.values()) > rule.get("maxSkew", 1):
                return False
        return True

    def _apart(self, pod: PodNeed, node: Node) -> bool:
        return not any(
            _repels(pod, other.labels, on, node) or _repels(other, pod.labels, on, node)
            for other, on in self._placed
        )


class _Search:
    """A search for a place for each of the pods, which gives up after so many tries."""

    def __init__(self, board: _Board, items: Sequence[PodNeed]) -> None:
        self._board = board
        self._items = items
        self._tries = TRIES

    def run(self) -> Placement:
        if self._found(0):
            return Placement.TIGHT
        return Placement.UNKNOWN if self._tries <= 0 else Placement.NONE

    def _found(self, number: int) -> bool:
        if number == len(self._items):
            return True
        pod, seen = self._items[number], set()
        for node in list(self._board.candidates(pod)):
            if (looks := self._board.looks(node)) in seen:
                continue
            seen.add(looks)
            self._tries -= 1
            if self._tries <= 0:
                return False
            self._board.place(pod, node)
            found = self._found(number + 1)
            self._board.undo()
            if found:
                return True
        return False


def _too_much(items: Iterable[PodNeed], nodes: Sequence[Node], used: Mapping[str, Amounts]) -> bool:
    """Whether the pods that need a resource ask for more of it than all nodes that may run one of
    them have."""
    by_resource: dict[str, list[PodNeed]] = {}
    for pod in items:
        for name, amount in pod.requests.items():
            if amount > 0:
                by_resource.setdefault(name, []).append(pod)
    for name, asking in by_resource.items():
        distinct = {id(pod): pod for pod in asking}.values()
        hosts = {node.name: node for pod in distinct for node in admitted(pod, nodes)}
        there = sum((left(n, used).get(name, Decimal(0)) for n in hosts.values()), Decimal(0))
        if sum((pod.requests[name] for pod in asking), Decimal(0)) > there:
            return True
    return False


def _greed(pod: PodNeed) -> tuple[Decimal, Decimal, Decimal]:
    devices = sum(pod.devices.values(), Decimal(0))
    return devices, pod.requests.get("memory", Decimal(0)), pod.requests.get("cpu", Decimal(0))


def _left(room: Amounts, taken: Amounts) -> Amounts:
    return {name: amount - taken.get(name, Decimal(0)) for name, amount in room.items()}


def _domain(node: Node, key: str) -> str:
    """Empty where the node has no such label. Each node has a host name of its own."""
    return node.labels.get(key, node.name if key == HOSTNAME else "")


def _repels(pod: PodNeed, labels: Mapping[str, str], on: Node, node: Node) -> bool:
    """Whether the pod's required anti-affinity keeps it off `node`, where a pod with these labels
    is `on` a node."""
    affinity = (pod.spec.get("affinity") or {}).get("podAntiAffinity") or {}
    for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
        selector = (term.get("labelSelector") or {}).get("matchLabels")
        key = term.get("topologyKey", "")
        near = on.name == node.name or (_domain(on, key) == _domain(node, key) != "")
        if near and selector and selector.items() <= labels.items():
            return True
    return False


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
