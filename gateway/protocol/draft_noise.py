"""Which draft tokens a device replaces that is made worse on purpose (`--spoil`), for measurements.

The device and the benchmark that asks it share this: so that knows beforehand where drafter and
verifier will agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

REMEMBERED = 8
"""Tokens at the end of a text by which, with its length, its draws are its own."""


def draws_after(text: Sequence[int]) -> Random:
    """Draws for the guess after a text: the same for the same text, on every machine."""
    return Random(hash((len(text), *text[-REMEMBERED:])))


def is_replaced(draws: Random, share: float) -> bool:
    """Whether the guess is replaced where this `share` of them is (0 to 1): the first draw."""
    return draws.random() < share
