"""When a round ends, on a clock that is set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from gateway.core.collective.report import Contribution
from gateway.serving.collective.round import (
    Proposal,
    Proposer,
    RoundPlan,
    RoundResult,
    run_round,
)

pytestmark = pytest.mark.anyio
TURNS = 50
"""Turns of the event loop that are more than it needs for whatever it has to do at once."""


class HandClock:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at


@dataclass
class FakeProposer:
    """A proposer that works as `work` does."""

    name: str
    work: Callable[[], Awaitable[str]]
    merit: float = 0.5
    expected_s: float = 0.0
    received_tokens: int = 0

    async def propose(self, remaining_s: float) -> Proposal:
        return Proposal(text=await self.work())


def answers_at(name: str, clock: HandClock, at: float) -> FakeProposer:
    """Answers at once, when the clock shows `at`."""

    async def work() -> str:
        clock.at = max(clock.at, at)
        return "Answer: 41"

    return FakeProposer(name, work, expected_s=at)


def answers_after(event: asyncio.Event, name: str, merit: float) -> FakeProposer:
    """Answers some turns of the loop after `event`, and is expected to take 5 s."""

    async def work() -> str:
        await event.wait()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return "Answer: 42"

    return FakeProposer(name, work, merit=merit, expected_s=5.0)


class SecondContribution:
    """A listener that sets `event` at the second contribution."""

    def __init__(self, event: asyncio.Event) -> None:
        self._heard = 0
        self._event = event

    async def __call__(self, contribution: Contribution) -> None:
        self._heard += 1
        if self._heard == 2:
            self._event.set()


async def round_of(
    *proposers: Proposer, clock: HandClock, two_answered: asyncio.Event
) -> RoundResult:
    """A round with a quorum of two and without a grace."""
    plan = RoundPlan(role="answer", round=0, quorum=2, deadline=30.0, grace=0.0)
    return await run_round(
        proposers=proposers,
        spare=(),
        plan=plan,
        clock=clock,
        heard=SecondContribution(two_answered),
    )


def outcomes(contributions: list[Contribution]) -> dict[str, str]:
    return {contribution.device: contribution.outcome for contribution in contributions}


async def test_the_best_fitting_member_is_waited_for_beyond_the_grace() -> None:
    clock, two_answered = HandClock(), asyncio.Event()
    best = answers_after(two_answered, "best", merit=0.9)
    others = answers_at("a", clock, 1.0), answers_at("b", clock, 1.0)
    result = await round_of(*others, best, clock=clock, two_answered=two_answered)
    assert outcomes(result.contributions) == {"a": "answered", "b": "answered", "best": "answered"}


async def test_one_that_fits_worse_is_not() -> None:
    clock, never = HandClock(), asyncio.Event()
    worse = answers_after(never, "worse", merit=0.1)
    others = answers_at("a", clock, 1.0), answers_at("b", clock, 1.0)
    result = await round_of(*others, worse, clock=clock, two_answered=asyncio.Event())
    assert outcomes(result.contributions)["worse"] == "straggler"
