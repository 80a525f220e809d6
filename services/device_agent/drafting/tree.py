"""The device's side of a session: what is verified, what is guessed beyond it, what was sent. Pure.

Positions count the answer's tokens from 0. Beyond the verified text lies the trunk, the drafter's
best guess, and alternatives that leave the trunk where its guess is least sure: when the trunk
proves wrong there, the verifier need not wait a round trip for a better one. (A narrow form of
the draft trees of SpecInfer, Miao et al. 2024, and of pre-speculating for several outcomes.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.protocol.speculation import BEFORE, MAX_DRAFT_TOKENS
from services.device_agent.drafters.port import Guess
from services.device_agent.drafting.acceptance import Acceptance

WORTH_SENDING = 0.05
"""A token that is reached less often than this is not sent."""

WORTH_AN_ALTERNATIVE = 0.015
MAX_ALTERNATIVES = 12


class OutOfStep(Exception):
    """The verifier's tokens don't begin where the last ones ended."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Draft tokens for output positions from `position` on, and those right before."""

    position: int
    tokens: list[int]
    before: list[int]


@dataclass(frozen=True, slots=True)
class Node:
    """A guessed token, and the chance that it is right if all before it is."""

    guess: Guess
    chance: float

    @property
    def token(self) -> int:
        return self.guess.token


@dataclass(slots=True)
class Alternative:
    """`nodes[0]` stands at output position `start` instead of the trunk's token."""

    start: int
    nodes: list[Node]


@dataclass
class DraftTree:
    """`acceptance` is shared by sessions: what one learns, the next knows."""

    acceptance: Acceptance
    end_tokens: frozenset[int] = frozenset()
    verified: list[int] = field(default_factory=list)
    trunk: list[Node] = field(default_factory=list)
    alternatives: list[Alternative] = field(default_factory=list)
    sent: int = 0
    """Of the trunk's nodes, how many are on their way."""
    considered: set[int] = field(default_factory=set)
    """Output positions for which an alternative was made."""

    @property
    def end(self) -> int:
        """The position that the next trunk token would get."""
        return len(self.verified) + len(self.trunk)

    @property
    def ended(self) -> bool:
        """Whether the trunk ends the answer: nothing is to be drafted beyond."""
        return bool(self.trunk) and self.trunk[-1].token in self.end_tokens

    def text(self) -> list[int]:
        return self.verified + [node.token for node in self.trunk]

    def grow(self, guesses: Sequence[Guess]) -> None:
        """Add guesses to the trunk's end."""
        _extend(self.trunk, guesses, self.acceptance)

    def reach(self) -> float:
        """The chance that the whole trunk is right."""
        return math.prod(node.chance for node in self.trunk)

    def verify(self, position: int, tokens: Sequence[int]) -> int:
        """Take verified tokens; gives how many of them the trunk or an alternative had right.

        Raises OutOfStep.
        """
        if position != len(self.verified):
            raise OutOfStep(f"tokens for position {position}, expected {len(self.verified)}")
        right = 0
        for token in tokens:
            right += self._verify_one(token)
        return right

    def _verify_one(self, token: int) -> bool:
        position = len(self.verified)
        self.verified.append(token)
        if not self.trunk:
            return False
        node = self.trunk[0]
        self.acceptance.learn(node.guess.probability, node.token == token)
        if node.token == token:
            del self.trunk[0]
            self.sent = max(0, self.sent - 1)
            self.alternatives = [a for a in self.alternatives if a.start > position]
            return True
        if node.guess.second >= 0:
            self.acceptance.learn_second(node.guess.second == token)
        return self._turn(position, token)

    def _turn(self, position: int, token: int) -> bool:
        """The trunk was wrong at `position`: an alternative with this token becomes the trunk."""
        found = [
            alternative
            for alternative in self.alternatives
            if alternative.start == position and alternative.nodes[0].token == token
        ]
        self.alternatives, self.considered = [], set()
        self.trunk = found[0].nodes[1:] if found else []
        self.sent = len(self.trunk)
        return bool(found)

    def drop_guesses(self) -> None:
        self.trunk, self.alternatives, self.sent = [], [], 0
        self.considered = set()

    def outgoing(self, most: int = MAX_DRAFT_TOKENS) -> Outgoing | None:
        """The trunk's unsent tokens, at most `most`; they count as sent from now on."""
        reach = math.prod(node.chance for node in self.trunk[: self.sent])
        worth: list[int] = []
        for node in self.trunk[self.sent : self.sent + most]:
            reach *= node.chance
            if reach < WORTH_SENDING:
                break
            worth.append(node.token)
        if not worth:
            return None
        position = len(self.verified) + self.sent
        self.sent += len(worth)
        return Outgoing(position, worth, self._before(position))

    def fork(self) -> int | None:
        """The trunk position (0 is the first unverified) most in need of an alternative."""
        if len(self.alternatives) >= MAX_ALTERNATIVES:
            return None
        best, worth = None, WORTH_AN_ALTERNATIVE
        reach = 1.0
        for index, node in enumerate(self.trunk):
            missed = reach * (1 - node.chance) * self.acceptance.second
            known = node.guess.second >= 0
            if missed > worth and known and len(self.verified) + index not in self.considered:
                best, worth = index, missed
            reach *= node.chance
        return best

    def fork_text(self, index: int) -> list[int]:
        """The answer up to the trunk position `index`, with the second guess there."""
        head = [node.token for node in self.trunk[:index]]
        return [*self.verified, *head, self.trunk[index].guess.second]

    def branch(self, index: int, guesses: Sequence[Guess]) -> Outgoing:
        """Keep an alternative that continues `fork_text(index)` by `guesses`; gives its frame."""
        position = len(self.verified) + index
        nodes = [Node(Guess(self.trunk[index].guess.second, 1.0), 1.0)]
        _extend(nodes, guesses, self.acceptance)
        nodes = nodes[:MAX_DRAFT_TOKENS]
        self.alternatives.append(Alternative(position, nodes))
        self.considered.add(position)
        return Outgoing(position, [each.token for each in nodes], self._before(position))

    def _before(self, position: int) -> list[int]:
        return self.text()[max(0, position - BEFORE) : position]


def _extend(nodes: list[Node], guesses: Sequence[Guess], acceptance: Acceptance) -> None:
    nodes.extend(Node(guess, acceptance.of(guess.probability)) for guess in guesses)
