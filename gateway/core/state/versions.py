"""Values with a round number, each written only over the round that its writer has seen."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.state.decision import Decision, nothing
from gateway.core.state.operations import Advance


@dataclass(frozen=True, slots=True)
class Round:
    number: int
    value: bytes
    until: float


def advance(stored: Round | None, wanted: Advance, now: float) -> Decision[Round]:
    number = 0 if stored is None else stored.number
    if number != wanted.expected:
        return Decision(stored, 0.0 if stored is None else stored.until, False)
    until = now + wanted.ttl_s
    return Decision(Round(number + 1, wanted.value, until), until, True)


def forget(stored: Round | None) -> Decision[Round]:
    return nothing(stored is not None)
