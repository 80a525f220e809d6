"""Whether all pods find a place at the same time. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from k8s.preflight.facts import Amounts, Node
from k8s.preflight.needs import PodNeed
from k8s.preflight.placement import admitted, fits, left, reduced

ONE_POD = {"pods": Decimal(1)}
HOSTNAME = "kubernetes.io/hostname"
TRIES = 20_000
"""Of a pod on a node: a second or two."""
SEARCHED = 200
"""Pods for which a search is worth its time."""


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
    board = _Board(nodes, used, items)
    if all(board.place(pod, board.roomiest(pod)) for pod in items):
        return Places(Placement.FITS)
    items.sort(key=_greed, reverse=True)
    board, left_over = _Board(nodes, used, items), []
    for pod in items:
        if not board.place(pod, next(iter(board.candidates(pod)), None)):
            left_over.append(pod.owner)
    owners = tuple(dict.fromkeys(left_over))
    if not left_over:
        return Places(Placement.TIGHT, (items[-1].owner,))
    if _too_much(items, nodes, used) or _too_many(items, nodes, used):
        return Places(Placement.NONE, owners)
    if len(items) > SEARCHED:
        return Places(Placement.UNKNOWN, owners)
    found = _Search(_Board(nodes, used, items), items).run()
    return Places(found, owners)


class _Board:
    """The room on each node while pods are placed there one by one, and who stands where."""

    def __init__(
        self, nodes: Sequence[Node], used: Mapping[str, Amounts], pods: Iterable[PodNeed]
    ) -> None:
        self._nodes = [node for node in nodes if node.usable]
        self._room = {node.name: left(node, used) for node in self._nodes}
        self._placed: list[tuple[PodNeed, Node]] = []
        distinct = {id(pod): pod for pod in pods}
        self._admitted = {key: admitted(pod, self._nodes) for key, pod in distinct.items()}
        keys = sorted({key for pod in distinct.values() for key in _topology_keys(pod)})
        self._traits: dict[str, Hashable] = {
            node.name: (
                tuple(node in admitting for admitting in self._admitted.values()),
                tuple(_domain(node, key) for key in keys if key != HOSTNAME),
            )
            for node in self._nodes
        }

    def candidates(self, pod: PodNeed) -> Iterator[Node]:
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
        self._room[node.name] = reduced(self._room[node.name], {**pod.requests, **ONE_POD})
        self._placed.append((pod, node))
        return True

    def undo(self) -> None:
        pod, node = self._placed.pop()
        given_back = {name: -amount for name, amount in ({**pod.requests, **ONE_POD}).items()}
        self._room[node.name] = reduced(self._room[node.name], given_back)

    def looks(self, node: Node) -> Hashable:
        """Nodes that look alike are the same to a search."""
        stands = tuple(sorted(pod.owner for pod, on in self._placed if on.name == node.name))
        return tuple(sorted(self._room[node.name].items())), stands, self._traits[node.name]

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


def _too_many(items: Iterable[PodNeed], nodes: Sequence[Node], used: Mapping[str, Amounts]) -> bool:
    """Whether the pods of one owner would not even fit if they were alone."""
    return any(
        pod.replicas > sum(_times(pod, left(node, used)) for node in admitted(pod, nodes))
        for pod in {id(pod): pod for pod in items}.values()
    )


def _times(pod: PodNeed, room: Amounts) -> int:
    """How many of these pods fit into the room."""
    asked = {name: amount for name, amount in pod.requests.items() if amount > 0}
    if "pods" in room:
        asked |= ONE_POD
    shares = [room.get(name, Decimal(0)) / amount for name, amount in asked.items()]
    return max(0, int(min(shares, default=Decimal(pod.replicas))))


def _greed(pod: PodNeed) -> tuple[Decimal, Decimal, Decimal]:
    devices = sum(pod.devices.values(), Decimal(0))
    return devices, pod.requests.get("memory", Decimal(0)), pod.requests.get("cpu", Decimal(0))


def _topology_keys(pod: PodNeed) -> Iterator[str]:
    affinity = (pod.spec.get("affinity") or {}).get("podAntiAffinity") or {}
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    for rule in (*terms, *(pod.spec.get("topologySpreadConstraints") or ())):
        yield rule.get("topologyKey", "")


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
