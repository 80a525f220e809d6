"""The draft tree of a session: the verified text, and the drafter's guesses beyond it. Pure.

Where a tier in the middle drafts too, its lead stands between the two: what it expects, which the
verifier has not seen yet. The drafter goes on from there.

Positions count the answer's tokens from 0. The tree grows where a further token is likeliest to
be reached, along the drafter's first guesses and, where it is unsure, its second ones: when the
first proves wrong, the verifier does not wait a round trip for a better one. (Best-first growth
as in EAGLE-2, Li et al. 2024, section 4; hedging over outcomes as in SpecInfer, Miao et al. 2024.)
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.protocol.device_link.speculation import BEFORE, MAX_AHEAD_TOKENS, MAX_DRAFT_TOKENS
from services.device_agent.drafters.port import Guess
from services.device_agent.drafting.acceptance import Acceptance

WORTH = 0.005
"""The least chance that a token is reached from the verified text, for it to be drafted."""

WORTH_SECOND = 0.01
"""The same for a second guess, which begins a run of its own: that costs more than its tokens."""

NEAR_TOKENS = 8
NEAR_REACH = 0.15
"""A token is near that is one of the next few, and this likely to be reached: the verifier may want
it in a step that begins before the token after it is drafted."""

SWITCH = 0.3
"""A branch is left when its chance is below this share of another's: a change costs a read."""

MAX_NODES = 200
"""Unverified tokens in all branches: what the engine's mailbox holds of a session, and more than
fits a round trip."""


class PositionMismatch(Exception):
    """The verifier's tokens don't begin where the last ones ended."""


@dataclass(frozen=True, slots=True)
class DraftRun:
    """A run of draft tokens from output position `position` on, and the token ids right before."""

    position: int
    token_ids: list[int]
    before: list[int]


def append_run(runs: list[DraftRun], run: DraftRun) -> None:
    """Extend the last of `runs` by `run` where it continues that one, else append it."""
    if runs:
        last = runs[-1]
        end = [*last.before, *last.token_ids][-len(run.before) :] if run.before else []
        continues = run.position == last.position + len(last.token_ids) and run.before == end
        if continues and len(last.token_ids) + len(run.token_ids) <= MAX_DRAFT_TOKENS:
            last.token_ids.extend(run.token_ids)
            return
    runs.append(run)


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """A token of the tree at output position `position`.

    `reach` is the chance that the answer gets there, counted from the beginning of the tree.
    `guess` is the drafter's guess of the token after it.
    """

    token: int
    position: int
    reach: float
    parent: Node | None
    guess: Guess | None = None
    children: dict[int, Node] = field(default_factory=dict)
    dead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place where the tree may grow: after `parent`, by `token`.

    Where `token` is None, `parent` has no guess yet, and the drafter has to make it.
    """

    parent: Node
    token: int | None
    reach: float
    second: bool = False


class DraftTree:
    """The verified tokens of one answer, the lead beyond them, and a tree of draft tokens there.

    `acceptance` is shared by sessions: what one learns, the next knows. `trunk_only` leaves second
    guesses out, for a fixed window. `verified` are the tokens that an earlier session has brought.
    `lead` are tokens that a tier in the middle expects next; mostly there are none.
    """

    def __init__(
        self,
        *,
        acceptance: Acceptance,
        end_tokens: frozenset[int] = frozenset(),
        trunk_only: bool = False,
        verified: Sequence[int] = (),
    ) -> None:
        self.acceptance = acceptance
        self.end_tokens = end_tokens
        self.verified = list(verified)
        self.lead: list[int] = []
        self.nodes = 0
        self._trunk_only = trunk_only
        self._slots: list[tuple[float, int, Slot]] = []
        self._order = itertools.count()
        self._root = self._restart()

    def best(self, window: int) -> Slot | None:
        """The slot whose token is likeliest to be reached, at most `window` tokens beyond verified
        text and lead."""
        postponed = []
        best = None
        while self._slots and best is None:
            entry = heapq.heappop(self._slots)
            slot = entry[2]
            if slot.parent.dead:
                continue
            if slot.reach < WORTH * self._root.reach or self.nodes >= MAX_NODES:
                postponed.append(entry)
                break
            too_rare = slot.second and slot.reach < WORTH_SECOND * self._root.reach
            if too_rare or self.depth(slot) >= window:
                postponed.append(entry)
            else:
                best = slot
        for entry in postponed:
            heapq.heappush(self._slots, entry)
        return best

    def depth(self, slot: Slot) -> int:
        """How many draft tokens the drafter goes on from at the slot."""
        return slot.parent.position - self._root.position + (slot.token is not None)

    def is_near(self, slot: Slot) -> bool:
        """Whether the next guess at the slot is likely wanted soon: it is to be sent alone."""
        likely = slot.reach >= NEAR_REACH * self._root.reach
        return likely and self.depth(slot) < NEAR_TOKENS

    def pursue(self, slot: Slot) -> Callable[[Guess], bool]:
        """A test for each guess after `text(slot)`: whether to grow the tree elsewhere now."""
        rival = -self._slots[0][0] if self._slots else 0.0
        least = max(WORTH * self._root.reach, SWITCH * rival)
        reach = slot.reach

        def enough(guess: Guess) -> bool:
            nonlocal reach
            reach *= self.acceptance.of(guess.probability)
            return reach < least or guess.token in self.end_tokens

        return enough

    def text(self, slot: Slot) -> list[int]:
        """The answer's token ids up to the slot's token, which is the last one."""
        last = [] if slot.token is None else [slot.token]
        return [*self.verified, *self.lead, *self._path(slot.parent), *last]

    def grow(self, slot: Slot, guesses: Sequence[Guess]) -> DraftRun | None:
        """Add the drafter's guesses after `text(slot)`; returns the new tokens to send.

        Each guess is about the token after those before it, and the last one is sent with them:
        what the drafter makes of it may come too late for the step that could have it.
        """
        node, start = slot.parent, slot.parent.position + 1
        added: list[int] = []
        if slot.token is not None:
            node = self._add(node, slot.token, slot.reach)
            added.append(slot.token)
        for guess in guesses[: MAX_DRAFT_TOKENS - len(added)]:
            node.guess = guess
            chance = self.acceptance.of(guess.probability)
            self._open_second(node, guess, chance)
            node = self._add(node, guess.token, node.reach * chance)
            added.append(guess.token)
        if guesses:
            self._open(Slot(parent=node, token=None, reach=node.reach))
        else:
            # The drafter's context is full: nothing grows here.
            node.guess = Guess(-1, 0.0)
        return self._run(start, added, node) if added else None

    def verify(self, position: int, tokens: Sequence[int], *, learns: bool = True) -> int:
        """Add verified tokens; returns how many of them stood in the lead or the tree.

        A lead that they contradict is gone. `learns`: whether they tell of the drafts (where a tier
        in the middle judges those, they do not). Raises PositionMismatch.
        """
        if position != len(self.verified):
            raise PositionMismatch(f"tokens for position {position}, expected {len(self.verified)}")
        return sum(self._verify_one(token, learns) for token in tokens)

    def expect(self, position: int, tokens: Sequence[int]) -> None:
        """Set the lead from `position` on, as a tier in the middle has it now.

        What contradicts the verified text or leaves a gap is no lead: it came too late, or tells
        nothing. Beyond MAX_AHEAD_TOKENS it is cut.
        """
        late = self.verified[position : position + len(tokens)]
        kept = max(0, position - len(self.verified))
        if list(tokens[: len(late)]) != late or kept > len(self.lead):
            return
        lead = [*self.lead[:kept], *tokens[len(late) :]][:MAX_AHEAD_TOKENS]
        pairs = zip(self.lead, lead, strict=False)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        if same < len(self.lead):
            del self.lead[same:]
            self._restart()
        for token in lead[same:]:
            self.lead.append(token)
            self._advance(token, learns=True)

    def _verify_one(self, token: int, learns: bool) -> bool:
        self.verified.append(token)
        if not self.lead:
            return self._advance(token, learns)
        if self.lead[0] == token:
            del self.lead[0]
            return True
        self.lead.clear()
        self._restart()
        return False

    def _advance(self, token: int, learns: bool) -> bool:
        """Grow verified text or lead by `token`; returns whether it stood in the tree."""
        root, guess = self._root, self._root.guess
        if learns and guess is not None and guess.token >= 0:
            self.acceptance.learn(guess.probability, guess.token == token)
            if guess.token != token and guess.second >= 0:
                self.acceptance.learn_second(guess.second == token)
        chosen = root.children.pop(token, None)
        root.dead = True
        if chosen is None:
            self._restart()
            return False
        self.nodes -= 1 + sum(_mark_dead(sibling) for sibling in root.children.values())
        chosen.parent = None
        self._root = chosen
        return True

    def _restart(self) -> Node:
        """Begin an empty tree after verified text and lead; returns its root."""
        before = self.lead or self.verified
        last = before[-1] if before else -1
        position = len(self.verified) + len(self.lead) - 1
        root = self._root = Node(token=last, position=position, reach=1.0, parent=None)
        self._slots.clear()
        self.nodes = 0
        self._open(Slot(parent=root, token=None, reach=1.0))
        return root

    def _add(self, parent: Node, token: int, reach: float) -> Node:
        node = parent.children[token] = Node(
            token=token, position=parent.position + 1, reach=reach, parent=parent
        )
        self.nodes += 1
        return node

    def _open(self, slot: Slot) -> None:
        verified = slot.parent is self._root and not self.lead
        ended = slot.parent.token in self.end_tokens and not verified
        if not ended:
            heapq.heappush(self._slots, (-slot.reach, next(self._order), slot))

    def _open_second(self, node: Node, guess: Guess, chance: float) -> None:
        if not self._trunk_only and guess.second not in (-1, guess.token):
            reach = node.reach * (1 - chance) * self.acceptance.second
            self._open(Slot(parent=node, token=guess.second, reach=reach, second=True))

    def _run(self, start: int, added: list[int], last: Node) -> DraftRun:
        path = [*self.verified, *self.lead, *self._path(last)]
        return DraftRun(start, added, path[max(0, start - BEFORE) : start])

    def _path(self, node: Node) -> list[int]:
        """The unverified tokens up to `node`, its own the last."""
        return [ancestor.token for ancestor in _ancestors(node, self._root)][::-1]


def _ancestors(node: Node, root: Node) -> Iterator[Node]:
    """`node`, its parent and so on, up to the one below `root`."""
    while node is not root and node.parent is not None:
        yield node
        node = node.parent


def _mark_dead(node: Node) -> int:
    """Mark a branch as dead; returns its number of nodes."""
    node.dead = True
    return 1 + sum(_mark_dead(child) for child in node.children.values())
