"""The device's side of a session: what is verified, what is guessed beyond it, what was sent. Pure.

Positions count the answer's tokens from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

# Tokens before a draft that the verifier compares, to tell a stale branch from the present one.
BEFORE = 4


class OutOfStep(Exception):
    """The verifier's tokens don't begin where the last ones ended."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Draft tokens for output positions from `position` on, and those right before."""

    position: int
    tokens: list[int]
    before: list[int]


@dataclass
class Lead:
    """`guess` continues `verified`; its first `sent` tokens are on their way."""

    verified: list[int] = field(default_factory=list)
    guess: list[int] = field(default_factory=list)
    sent: int = 0
    drafted: int = 0
    confirmed: int = 0

    @property
    def end(self) -> int:
        """The position that the next draft token would get."""
        return len(self.verified) + len(self.guess)

    def room(self, window: int) -> int:
        """How many more tokens may be drafted ahead."""
        return max(0, window - len(self.guess))

    def draft(self, token: int) -> None:
        self.guess.append(token)
        self.drafted += 1

    def verify(self, position: int, tokens: Sequence[int]) -> int:
        """Take verified tokens; gives the length up to which the device's own text stands.

        The KV cache is kept up to there. Beyond it, the verified tokens are to be read in first.
        Raises OutOfStep.
        """
        if position != len(self.verified):
            raise OutOfStep(f"tokens for position {position}, expected {len(self.verified)}")
        matched = 0
        for ours, theirs in zip(self.guess, tokens, strict=False):
            if ours != theirs:
                break
            matched += 1
        self.confirmed += matched
        self.verified.extend(tokens)
        if matched == min(len(tokens), len(self.guess)):
            # No contradiction: what is guessed beyond the verified tokens still stands.
            self.guess = self.guess[len(tokens) :]
            self.sent = max(0, self.sent - len(tokens))
            return position + matched + len(self.guess) if matched == len(tokens) else position + matched
        self.guess, self.sent = [], 0
        return position + matched

    def outgoing(self, most: int) -> Outgoing | None:
        """The next unsent draft tokens, at most `most`; they count as sent from now on."""
        tokens = self.guess[self.sent : self.sent + most]
        if not tokens:
            return None
        position = len(self.verified) + self.sent
        text = self.verified[-BEFORE:] + self.guess[: self.sent]
        self.sent += len(tokens)
        return Outgoing(position, tokens, text[-BEFORE:])
