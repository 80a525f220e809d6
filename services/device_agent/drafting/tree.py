"""The device's side of a session: what is verified, and a tree of guesses beyond it. Pure.

Positions count the answer's tokens from 0. The tree grows where a further token is likeliest to
be reached, along the drafter's first guesses and, where it is unsure, its second ones: when the
first proves wrong, the verifier need not wait a round trip for a better one. (Best-first growth
as in EAGLE-2, Li et al. 2024, section 4; hedging over outcomes as in SpecInfer, Miao et al. 2024.)
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.protocol.speculation import BEFORE, MAX_DRAFT_TOKENS
from services.device_agent.drafters.port import Guess
from services.device_agent.drafting.acceptance import Acceptance

WORTH = 0.005
"""A token that is reached less often than this, seen from the verified text, is not drafted."""

WORTH_SECOND = 0.01
"""The same for a second guess: each begins a run of its own, which costs more than its tokens."""

SWITCH = 0.3
"""A branch is left for one that is likelier by this: to change branches costs a read."""

MAX_NODES = 200
"""Unverified tokens in all branches: what the engine's mailbox holds of a session, and more than
fits a round trip."""


class OutOfStep(Exception):
    """The verifier's tokens don't begin where the last ones ended."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Draft tokens for output positions from `position` on, and those right before."""

    position: int
    tokens: list[int]
    before: list[int]


def join(gathered: list[Outgoing], more: Outgoing) -> None:
    """Add `more` to the last of those gathered where it goes on from there, else beside them."""
    if gathered:
        last = gathered[-1]
        ends = [*last.before, *last.tokens][-len(more.before) :] if more.before else []
        follows = more.position == last.position + len(last.tokens) and more.before == ends
        if follows and len(last.tokens) + len(more.tokens) <= MAX_DRAFT_TOKENS:
            last.tokens.extend(more.tokens)
            return
    gathered.append(more)


@dataclass(slots=True, eq=False)
class Node:
    """A token at output position `position`, reached with the chance `reach` (of the whole
    answer so far as the tree knows it). `guess` is what the drafter says comes after it."""

    token: int
    position: int
    reach: float
    parent: Node | None
    guess: Guess | None = None
    children: dict[int, Node] = field(default_factory=dict)
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the tree may grow: after `parent`, by `token`. `parent` has no guess yet where
    `token` is None: then the drafter says what comes."""

    parent: Node
    token: int | None
    reach: float
    second: bool = False


class DraftTree:
    """`acceptance` is shared by sessions: what one learns, the next knows.

    `trunk_only`: no second guesses, for a fixed window.
    """

    def __init__(
        self,
        acceptance: Acceptance,
        end_tokens: frozenset[int] = frozenset(),
        trunk_only: bool = False,
    ) -> None:
        self.acceptance = acceptance
        self.end_tokens = end_tokens
        self.verified: list[int] = []
        self.nodes = 0
        self._trunk_only = trunk_only
        self._root = Node(-1, -1, 1.0, None)
        self._slots: list[tuple[float, int, Slot]] = []
        self._order = itertools.count()
        self._open(Slot(self._root, None, 1.0))

    def best(self, window: int) -> Slot | None:
        """Where a further token is likeliest to be reached, at most `window` tokens ahead."""
        postponed = []
        found = None
        while self._slots and found is None:
            entry = heapq.heappop(self._slots)
            slot = entry[2]
            if slot.parent.dead:
                continue
            if slot.reach < WORTH * self._root.reach or self.nodes >= MAX_NODES:
                postponed.append(entry)
                break
            seldom = slot.second and slot.reach < WORTH_SECOND * self._root.reach
            if seldom or slot.parent.position - self._root.position >= window:
                postponed.append(entry)
            else:
                found = slot
        for entry in postponed:
            heapq.heappush(self._slots, entry)
        return found

    def depth(self, slot: Slot) -> int:
        """Unverified tokens before the slot's."""
        return slot.parent.position - self._root.position

    def pursue(self, slot: Slot) -> Callable[[Guess], bool]:
        """Asked of each guess after `text(slot)`: whether the tree is better grown elsewhere."""
        rival = -self._slots[0][0] if self._slots else 0.0
        least = max(WORTH * self._root.reach, SWITCH * rival)
        reach = slot.reach

        def enough(guess: Guess) -> bool:
            nonlocal reach
            reach *= self.acceptance.of(guess.probability)
            return reach < least or guess.token in self.end_tokens

        return enough

    def text(self, slot: Slot) -> list[int]:
        """The answer up to and with the slot's token."""
        tail = [] if slot.token is None else [slot.token]
        return [*self.verified, *self._path(slot.parent), *tail]

    def grow(self, slot: Slot, guesses: Sequence[Guess]) -> Outgoing | None:
        """Take what the drafter says after `text(slot)`; gives the new tokens to send.

        Each guess is about the token after those before it, so the last one's token is not part
        of the tree yet: it becomes a slot.
        """
        added: list[int] = []
        node = slot.parent
        if slot.token is not None:
            node = self._add(slot.parent, slot.token, slot.reach)
            added.append(slot.token)
        start = node.position if added else node.position + 1
        for number, guess in enumerate(guesses):
            node.guess = guess
            chance = self.acceptance.of(guess.probability)
            last = number == len(guesses) - 1 or len(added) >= MAX_DRAFT_TOKENS
            self._open_second(node, guess, chance)
            if last:
                self._open(Slot(node, guess.token, node.reach * chance))
                break
            node = self._add(node, guess.token, node.reach * chance)
            added.append(guess.token)
        if not guesses:
            # The drafter's context is full: nothing grows here.
            node.guess = Guess(-1, 0.0)
        return self._outgoing(start, added, node) if added else None

    def verify(self, position: int, tokens: Sequence[int]) -> int:
        """Take verified tokens; gives how many of them stood in the tree. Raises OutOfStep."""
        if position != len(self.verified):
            raise OutOfStep(f"tokens for position {position}, expected {len(self.verified)}")
        return sum(self._verify_one(token) for token in tokens)

    def _verify_one(self, token: int) -> bool:
        root, guess = self._root, self._root.guess
        if guess is not None and guess.token >= 0:
            self.acceptance.learn(guess.probability, guess.token == token)
            if guess.token != token and guess.second >= 0:
                self.acceptance.learn_second(guess.second == token)
        self.verified.append(token)
        chosen = root.children.pop(token, None)
        root.dead = True
        stood = chosen is not None
        self.nodes -= stood
        for sibling in root.children.values():
            self.nodes -= _bury(sibling)
        if chosen is None:
            chosen = Node(token, len(self.verified) - 1, 1.0, None)
            self._slots.clear()
            self._open(Slot(chosen, None, 1.0))
        chosen.parent = None
        self._root = chosen
        return stood

    def _add(self, parent: Node, token: int, reach: float) -> Node:
        node = parent.children[token] = Node(token, parent.position + 1, reach, parent)
        self.nodes += 1
        return node

    def _open(self, slot: Slot) -> None:
        ended = slot.parent.token in self.end_tokens and slot.parent is not self._root
        if not ended:
            heapq.heappush(self._slots, (-slot.reach, next(self._order), slot))

    def _open_second(self, node: Node, guess: Guess, chance: float) -> None:
        if not self._trunk_only and guess.second not in (-1, guess.token):
            reach = node.reach * (1 - chance) * self.acceptance.second
            self._open(Slot(node, guess.second, reach, second=True))

    def _outgoing(self, start: int, added: list[int], last: Node) -> Outgoing:
        path = [*self.verified, *self._path(last)]
        return Outgoing(start, added, path[max(0, start - BEFORE) : start])

    def _path(self, node: Node) -> list[int]:
        """The unverified tokens up to and with `node`."""
        return [each.token for each in _up(node, self._root)][::-1]


def _up(node: Node, root: Node) -> Iterator[Node]:
    while node is not root and node.parent is not None:
        yield node
        node = node.parent


def _bury(node: Node) -> int:
    """Mark a branch as dead; gives its number of nodes."""
    node.dead = True
    return 1 + sum(_bury(child) for child in node.children.values())
