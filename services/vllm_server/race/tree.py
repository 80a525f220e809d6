"""The drafts of one session as trees: what is shared is held once, and a step walks one path. Pure.

Positions count a request's output tokens from 0. A tree stands on *ground*: the text before its
first token, of which the last ids are known. The root of all drafts so far is the ground that the
request has reached; others wait for it further on, since drafts may arrive out of order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """A draft token at `position`, or (with `before`) the ground after that position.

    `children` in order of arrival. `counted`: it has met its fate. `arrived` in microseconds.
    """

    token: int
    position: int
    parent: Node | None
    arrived: int = 0
    before: tuple[int, ...] | None = None
    children: dict[int, Node] = field(default_factory=dict)
    counted: bool = False
    dead: bool = False

    def all_below(self) -> Iterator[Node]:
        """Every draft token that stands on this one."""
        waiting = list(self.children.values())
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(node.children.values())

    def follows(self, before: Sequence[int]) -> bool:
        """Whether the text up to here ends with `before`, as far back as both are known."""
        node, remaining = self, len(before)
        while node.before is None:
            if remaining == 0:
                return True
            remaining -= 1
            if node.token != before[remaining]:
                return False
            assert node.parent is not None
            node = node.parent
        return ends_alike(node.before, before[:remaining])

    def agreed(self, tokens: Sequence[int]) -> tuple[int, Node]:
        """How many of `tokens` stand here already, one after the other, and where they end."""
        node: Node = self
        for number, token in enumerate(tokens):
            child = node.children.get(token)
            if child is None:
                return number, node
            node = child
        return len(tokens), node

    def first_path(self, limit: int) -> list[Node]:
        """From child to child, the one that came first: at most `limit` nodes."""
        path: list[Node] = []
        node = self
        while node.children and len(path) < limit:
            node = next(iter(node.children.values()))
            path.append(node)
        return path


MAX_ALTERNATIVES = 64
"""Nodes that are looked at for one position, from which on it takes no further draft: each message
is compared with all of them within the engine's step, and a drafter has a handful of guesses."""


class Levels:
    """The living nodes by position, so that a parent is found without a search."""

    def __init__(self) -> None:
        self._nodes: dict[int, list[Node]] = {}

    def add(self, node: Node) -> None:
        self._nodes.setdefault(node.position, []).append(node)

    def has_room(self, position: int) -> bool:
        """Whether one more draft may stand there."""
        count = len(self._nodes.get(position, ()))
        return count < MAX_ALTERNATIVES or len(self.at(position)) < MAX_ALTERNATIVES

    def at(self, position: int) -> list[Node]:
        """In order of arrival."""
        nodes = self._nodes.get(position)
        if nodes is None:
            return []
        if any(node.dead for node in nodes):
            nodes = self._nodes[position] = [node for node in nodes if not node.dead]
        return nodes

    def forget_before(self, position: int) -> None:
        """Drop all before `position`, which is not needed again."""
        for earlier in [other for other in self._nodes if other < position]:
            del self._nodes[earlier]


def best_parent(
    nodes: Sequence[Node], tokens: Sequence[int], before: Sequence[int]
) -> tuple[Node | None, int]:
    """The node after which most of `tokens` stand already, and how many: that node's last one.

    Of equals the first that leads no further: what ends there is continued rather than forked.
    """
    best, most, count = None, -1, 0
    for node in nodes:
        if not node.follows(before):
            continue
        agreed, end = node.agreed(tokens)
        if (score := 2 * agreed + (not end.children)) > most:
            best, most, count = end, score, agreed
    return best, count


def ends_alike(left: Sequence[int], right: Sequence[int]) -> bool:
    """Whether the last tokens agree, as far back as both are known."""
    length = min(len(left), len(right))
    return length == 0 or list(left[-length:]) == list(right[-length:])
