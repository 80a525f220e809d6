"""The scripted device drafts what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from loadtest.rounds.device import Drafter

TRUTH = [(7 * place) % 500 for place in range(40)]
pytestmark = pytest.mark.anyio


def drafter(acceptance: float, ahead: int = 8, truth: Sequence[int] = TRUTH) -> Drafter:
    return Drafter(truth=truth, acceptance=acceptance, ahead=ahead, random=Random(1))


async def drafted(device: Drafter, until: int) -> list[int]:
    ids: list[int] = []
    while len(ids) < until:
        position, new, before = await device.next_run()
        assert position == len(ids)
        assert before == ids[-4:]
        ids += new
    return ids


async def test_right_drafts_are_the_answer() -> None:
    device = drafter(1.0)
    assert await drafted(device, 8) == TRUTH[:8]
    device.verified(TRUTH[:5])
    position, ids, before = await device.next_run()
    assert position == 8
    assert TRUTH[8 : 8 + len(ids)] == ids
    assert before == TRUTH[4:8]


async def test_wrong_drafts_agree_nowhere_and_are_given_up_at_a_correction() -> None:
    device = drafter(0.0)
    ids = await drafted(device, 8)
    assert all(draft != token for draft, token in zip(ids, TRUTH, strict=False))
    device.verified(TRUTH[:1])
    position, _, before = await device.next_run()
    assert (position, before) == (1, TRUTH[:1])


async def test_it_drafts_to_the_end_of_the_answer() -> None:
    device = drafter(1.0, ahead=100)
    assert await drafted(device, len(TRUTH)) == TRUTH
