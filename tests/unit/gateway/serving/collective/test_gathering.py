"""When a round ends, on a clock of its own."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.collective.report import Part
from gateway.serving.collective.round import Gathered, Plan, Proposal, Proposer, gather

pytestmark = pytest.mark.anyio
TURNS = 50


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at


def says(name: str, clock: Hand, *, after: float, merit: float = 0.5) -> Proposer:
    """Answers at once, when the clock shows `after`."""

    async def propose(left_s: float) -> Proposal:
        clock.at = max(clock.at, after)
        return Proposal(text="Answer: 41")

    return Proposer(name=name, merit=merit, propose=propose, expected_s=after)


def works(name: str, until: asyncio.Event, *, merit: float, expected_s: float) -> Proposer:
    async def propose(left_s: float) -> Proposal:
        await until.wait()
        # Behind whatever the loop has to do at once.
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return Proposal(text="Answer: 42")

    return Proposer(name=name, merit=merit, propose=propose, expected_s=expected_s)


async def round_of(*seats: Proposer, clock: Hand, plan: Plan, done: asyncio.Event) -> Gathered:
    """`done` is set when two have been heard."""
    heard: list[str] = []

    async def say(line: str) -> None:
        heard.append(line)
        if len(heard) == 2:
            done.set()

    return await gather(seats, (), plan, clock, say)


def outcomes(parts: list[Part]) -> dict[str, str]:
    return {part.device: part.outcome for part in parts}


async def test_the_best_fitting_member_is_waited_for_beyond_the_grace() -> None:
    clock, done = Hand(), asyncio.Event()
    best = works("best", done, merit=0.9, expected_s=5.0)
    plan = Plan(role="answer", round=0, quorum=2, deadline=30.0, grace=0.0)
    seats = (says("a", clock, after=1.0), says("b", clock, after=1.0), best)
    found = await round_of(*seats, clock=clock, plan=plan, done=done)
    assert outcomes(found.parts) == {"a": "answered", "b": "answered", "best": "answered"}


async def test_one_that_fits_worse_is_not() -> None:
    clock, never = Hand(), asyncio.Event()
    worse = works("worse", never, merit=0.1, expected_s=5.0)
    plan = Plan(role="answer", round=0, quorum=2, deadline=30.0, grace=0.0)
    seats = (says("a", clock, after=1.0), says("b", clock, after=1.0), worse)
    found = await round_of(*seats, clock=clock, plan=plan, done=asyncio.Event())
    assert outcomes(found.parts)["worse"] == "straggler"
