"""One round: several are asked at once, and as many answers come in as are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.collective.early_exit import Exit
from gateway.core.collective.quorum import grace_ends
from gateway.core.collective.report import Part, Role, best_heard
from gateway.core.devices.member import MemberFailed
from gateway.core.ports import Clock
from gateway.errors import GatewayError

BEST_SLACK = 1.25
"""What the best-fitting member is expected to take is a mean, and it often takes more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one of those asked said. `logprob`: mean per token, None where unknown."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprob: float | None = None
    tier: str = "device"


@dataclass(slots=True)
class Heard:
    """Tokens that have arrived so far: they were made, whether or not an answer comes of it."""

    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposer:
    """One to ask. `propose` gets the seconds that it has, and raises GatewayError; cancelled, it
    makes whoever works for it stop. `expected_s` is how long it is likely to take; `heard` counts
    while it works."""

    name: str
    merit: float
    propose: Callable[[float], Awaitable[Proposal]]
    expected_s: float = 0.0
    heard: Heard = field(default_factory=Heard)


Say = Callable[[str], Awaitable[None]]
"""Tells the caller how it goes; takes names and numbers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`deadline` is on the gateway's clock, `grace` a share of the time that the quorum took.
    `exit` looks at the parts so far and at the merits of those still asked, after each part and
    whenever one of `pending` ends. `firm`: fewer answers than the quorum are worth nothing, so that
    it ends when there can't be as many any more."""

    role: Role
    round: int
    quorum: int
    deadline: float
    grace: float
    exit: Callable[[Sequence[Part], Sequence[float]], Exit | None] = lambda parts, merits: None
    firm: bool = False
    pending: Callable[[], Collection[asyncio.Future[Any]]] = tuple


@dataclass(slots=True)
class Gathered:
    """`parts` in the order in which they came."""

    parts: list[Part] = field(default_factory=list)
    exit: Exit | None = None

    @property
    def answered(self) -> int:
        return sum(part.answered for part in self.parts)


async def gather(
    seats: Sequence[Proposer], spare: Sequence[Proposer], plan: Plan, clock: Clock, say: Say
) -> Gathered:
    """Ask all `seats`; one of `spare` stands in for each that fails while there is time for it.

    Ends when all are done, at the deadline, when the grace after the quorum is over, or as
    `plan.exit` says. Whoever still works then is stopped and counts as a straggler.
    """
    round_ = _Round(plan, clock, list(spare))
    try:
        for seat in seats:
            round_.ask(seat)
        while round_.running and round_.found.exit is None and not round_.lost:
            done = await round_.next()
            if done is None:
                break
            for part in done:
                await say(_line(part))
        return round_.close()
    finally:
        await round_.stop()


class _Round:
    def __init__(self, plan: Plan, clock: Clock, spare: list[Proposer]) -> None:
        self.plan = plan
        self.found = Gathered()
        self.running: dict[asyncio.Task[Proposal], tuple[Proposer, float]] = {}
        self._clock = clock
        self._spare = spare
        self._began = clock.now()
        self._until = plan.deadline
        self._met: float | None = None

    def ask(self, seat: Proposer) -> None:
        now = self._clock.now()
        left = max(0.001, self.plan.deadline - now)
        task = asyncio.create_task(_proposal(seat, left))
        self.running[task] = seat, now

    async def next(self) -> list[Part] | None:
        """Wait for whoever is next, or for what `Plan.exit` waits for; None when time is up."""
        left = max(0.0, self._until - self._clock.now())
        done, _ = await asyncio.wait(
            {*self.running, *self.plan.pending()},
            timeout=left,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not done:
            return None
        # A set has no order; that of asking makes equal cases come out equal.
        came = [self._take(task) for task in [*self.running] if task in done]
        self._look()
        return came

    def _take(self, task: asyncio.Task[Proposal]) -> Part:
        seat, began = self.running.pop(task)
        seconds = self._clock.now() - began
        error = task.exception()
        if error is None:
            part = self._answered(seat, seconds, task.result())
        elif isinstance(error, GatewayError):
            part = self._part(seat, "failed", seconds, error.code or "error")
            self._replace()
        else:
            raise error
        self.found.parts.append(part)
        return part

    def _replace(self) -> None:
        left = self.plan.deadline - self._clock.now()
        while self._spare:
            seat = self._spare.pop(0)
            if seat.expected_s < left:
                self.ask(seat)
                return

    def _look(self) -> None:
        """Is it enough by now?"""
        plan, now = self.plan, self._clock.now()
        if self._met is None and self.found.answered >= plan.quorum:
            self._met = now
        if self._met is not None:
            self._until = grace_ends(
                self._began, self._met, plan.grace, plan.deadline, self._best_by()
            )
        if self.running:
            merits = [seat.merit for seat, _ in self.running.values()]
            self.found.exit = plan.exit(self.found.parts, merits)

    @property
    def lost(self) -> bool:
        return self.plan.firm and self.found.answered + len(self.running) < self.plan.quorum

    def _best_by(self) -> float:
        """When those that fit better than all who answered have had the time that they take; 0.0:
        nobody does."""
        return max(
            (
                began + BEST_SLACK * seat.expected_s
                for seat, began in self.running.values()
                if not best_heard(self.found.parts, [seat.merit])
            ),
            default=0.0,
        )

    def close(self) -> Gathered:
        now = self._clock.now()
        for seat, began in self.running.values():
            self.found.parts.append(self._part(seat, "straggler", now - began))
        return self.found

    async def stop(self) -> None:
        """Whoever still works is told to stop, and nobody waits for that."""
        for task in self.running:
            task.cancel()
        if self.running:
            await asyncio.gather(*self.running, return_exceptions=True)

    def _answered(self, seat: Proposer, seconds: float, said: Proposal) -> Part:
        return Part(
            device=seat.name,
            role=self.plan.role,
            round=self.plan.round,
            outcome="answered",
            seconds=seconds,
            merit=seat.merit,
            code=None,
            text=said.text,
            prompt_tokens=said.prompt_tokens,
            completion_tokens=said.completion_tokens,
            logprob=said.logprob,
            tier=said.tier,
        )

    def _part(self, seat: Proposer, outcome: str, seconds: float, code: str | None = None) -> Part:
        failed = outcome == "failed"
        return Part(
            device=seat.name,
            role=self.plan.role,
            round=self.plan.round,
            outcome="failed" if failed else "straggler",
            seconds=seconds,
            merit=seat.merit,
            code=code,
            completion_tokens=seat.heard.tokens,
        )


async def _proposal(seat: Proposer, left: float) -> Proposal:
    said = await seat.propose(left)
    if not said.text.strip():
        raise MemberFailed(device=seat.name, code="empty", message=f"{seat.name} said nothing")
    return said


def _line(part: Part) -> str:
    what = part.outcome if part.code is None else f"{part.outcome} ({part.code})"
    verb = "revised" if part.role == "revise" and part.answered else what
    return f"{verb} {part.device} {part.seconds * 1000:.0f} ms"
