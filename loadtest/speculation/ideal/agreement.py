"""Where drafter and verifier agree in an answer: drawn at random, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from random import Random
from typing import TypeAlias


class Agreement(Enum):
    """The verifier's token beside the drafter's guesses of it, after the same text."""

    FIRST = "the drafter's first guess"
    SECOND = "its second guess"
    NONE = "neither"

    @property
    def foreseen(self) -> bool:
        """Whether the drafter can go on from it without being told."""
        return self is not Agreement.NONE


Agreements: TypeAlias = Sequence[Agreement]
"""One for each token of an answer."""


def draw(acceptance: float, second: float, tokens: int, random: Random) -> list[Agreement]:
    """`acceptance`: the chance that the first guess is right; `second`: that the second one is,
    where the first is wrong; both 0 to 1, each token by itself."""
    foreseen = acceptance + (1 - acceptance) * second
    return [_agreement(random.random(), acceptance, foreseen) for _ in range(tokens)]


def _agreement(drawn: float, acceptance: float, foreseen: float) -> Agreement:
    # One number decides both, so that a better drafter is right wherever a worse one is.
    if drawn < acceptance:
        return Agreement.FIRST
    return Agreement.SECOND if drawn < foreseen else Agreement.NONE
