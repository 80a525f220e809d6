"""One round of a collective: several proposers are asked at once, and it ends when there are enough
answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.core.collective.early_exit import Exit
from gateway.core.collective.quorum import grace_ends
from gateway.core.collective.report import (
    Contribution,
    ContributionOutcome,
    Role,
    best_has_answered,
)
from gateway.core.devices.member import MemberFailed
from gateway.core.ports import Clock
from gateway.errors import GatewayError

SLOWNESS = 1.25
"""The best-fitting member is waited for this many times as long as it takes on average, as it often
takes longer than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposer's answer. `logprob`: the mean per token, None where unknown. `finish_reason` is
    OpenAI's."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprob: float | None = None
    tier: str = "device"
    finish_reason: str = "stop"


class Proposer(Protocol):
    """One that is asked for an answer: a device, or one sample of a model.

    `merit` is the weight of its vote, `expected_s` the time that it is likely to take,
    `received_tokens` how many tokens of its answer have come so far.

    `propose` is called once. It raises GatewayError; when it is cancelled, the device or the engine
    is told to stop.
    """

    @property
    def name(self) -> str: ...

    @property
    def merit(self) -> float: ...

    @property
    def expected_s(self) -> float: ...

    @property
    def received_tokens(self) -> int: ...

    async def propose(self, remaining_s: float) -> Proposal: ...


Listener = Callable[[Contribution], Awaitable[None]]
"""It is told of each contribution as it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPlan:
    """The rules of one round.

    `deadline` is on the gateway's clock, `grace` a share of the time that the quorum took.
    `strict`: the round ends as soon as the quorum can't be met any more. `exit` gets the
    contributions so far and the merits of the proposers that still work, and gives a reason to end
    early; it is called after each contribution and whenever one of `pending` ends.
    """

    role: Role
    round: int
    quorum: int
    deadline: float
    grace: float
    exit: Callable[[Sequence[Contribution], Sequence[float]], Exit | None] = (
        lambda contributions, merits: None
    )
    strict: bool = False
    pending: Callable[[], Collection[asyncio.Future[Any]]] = tuple


@dataclass(slots=True)
class RoundResult:
    """What came of a round; `contributions` in the order in which they came."""

    contributions: list[Contribution] = field(default_factory=list)
    exit: Exit | None = None

    @property
    def answered(self) -> int:
        return sum(contribution.answered for contribution in self.contributions)


async def run_round(
    *,
    proposers: Sequence[Proposer],
    spare: Sequence[Proposer],
    plan: RoundPlan,
    clock: Clock,
    heard: Listener,
) -> RoundResult:
    """Ask all `proposers`. When one fails, one of `spare` takes its place if there is time for it.

    The round ends when all are done, at the deadline, when the grace after the quorum is over, or
    when `plan.exit` says so. Proposers that still work then are stopped and count as stragglers.
    """
    round_ = _Round(plan, clock, list(spare))
    try:
        for proposer in proposers:
            round_.ask(proposer)
        while not round_.over:
            contributions = await round_.next_contributions()
            if contributions is None:
                break
            for contribution in contributions:
                await heard(contribution)
        return round_.finish()
    finally:
        await round_.stop()


class _Round:
    """The state of a round: who works since when, and what has come so far."""

    def __init__(self, plan: RoundPlan, clock: Clock, spare: list[Proposer]) -> None:
        self._plan = plan
        self._clock = clock
        self._spare = spare
        self._result = RoundResult()
        self._working: dict[asyncio.Task[Proposal], tuple[Proposer, float]] = {}
        self._began = clock.now()
        self._ends = plan.deadline
        self._quorum_met: float | None = None

    @property
    def over(self) -> bool:
        return not self._working or self._result.exit is not None or self._quorum_lost

    @property
    def _quorum_lost(self) -> bool:
        possible = self._result.answered + len(self._working)
        return self._plan.strict and possible < self._plan.quorum

    def ask(self, proposer: Proposer) -> None:
        now = self._clock.now()
        remaining_s = max(0.001, self._plan.deadline - now)
        task = asyncio.create_task(_proposal(proposer, remaining_s))
        self._working[task] = proposer, now

    async def next_contributions(self) -> list[Contribution] | None:
        """Wait for the next answer or failure, or for what `RoundPlan.exit` waits for; None when
        the time is up."""
        done, _ = await asyncio.wait(
            {*self._working, *self._plan.pending()},
            timeout=max(0.0, self._ends - self._clock.now()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not done:
            return None
        # `done` is a set without order; the order of asking makes equal cases come out equal.
        contributions = [self._contribution_of(task) for task in [*self._working] if task in done]
        self._check_end()
        return contributions

    def finish(self) -> RoundResult:
        """Count those that still work as stragglers."""
        now = self._clock.now()
        for proposer, began in self._working.values():
            self._result.contributions.append(
                self._contribution(proposer, "straggler", now - began)
            )
        return self._result

    async def stop(self) -> None:
        """Tell those that still work to stop, without waiting for their answers."""
        for task in self._working:
            task.cancel()
        if self._working:
            await asyncio.gather(*self._working, return_exceptions=True)

    def _contribution_of(self, task: asyncio.Task[Proposal]) -> Contribution:
        proposer, began = self._working.pop(task)
        seconds = self._clock.now() - began
        error = task.exception()
        if error is None:
            contribution = self._contribution(proposer, "answered", seconds, proposal=task.result())
        elif isinstance(error, GatewayError):
            contribution = self._contribution(proposer, "failed", seconds, code=error.code)
            self._ask_spare()
        else:
            raise error
        self._result.contributions.append(contribution)
        return contribution

    def _ask_spare(self) -> None:
        remaining_s = self._plan.deadline - self._clock.now()
        while self._spare:
            proposer = self._spare.pop(0)
            if proposer.expected_s < remaining_s:
                self.ask(proposer)
                return

    def _check_end(self) -> None:
        """Set the end of the round once the quorum is met, and the reason to end it now if there
        is one."""
        plan, contributions = self._plan, self._result.contributions
        if self._quorum_met is None and self._result.answered >= plan.quorum:
            self._quorum_met = self._clock.now()
        if self._quorum_met is not None:
            self._ends = grace_ends(
                self._began, self._quorum_met, plan.grace, plan.deadline, self._best_expected()
            )
        if self._working:
            merits = [proposer.merit for proposer, _ in self._working.values()]
            self._result.exit = plan.exit(contributions, merits)

    def _best_expected(self) -> float:
        """Until when to wait for those that fit better than all that have answered; 0.0 where there
        are none."""
        return max(
            (
                began + SLOWNESS * proposer.expected_s
                for proposer, began in self._working.values()
                if not best_has_answered(self._result.contributions, [proposer.merit])
            ),
            default=0.0,
        )

    def _contribution(
        self,
        proposer: Proposer,
        outcome: ContributionOutcome,
        seconds: float,
        *,
        code: str | None = None,
        proposal: Proposal | None = None,
    ) -> Contribution:
        if proposal is None:
            # Tokens that have come were made and paid for, though no answer came of them.
            proposal = Proposal(text="", completion_tokens=proposer.received_tokens)
        return Contribution(
            device=proposer.name,
            role=self._plan.role,
            round=self._plan.round,
            outcome=outcome,
            seconds=seconds,
            merit=proposer.merit,
            code=code,
            text=proposal.text,
            prompt_tokens=proposal.prompt_tokens,
            completion_tokens=proposal.completion_tokens,
            logprob=proposal.logprob,
            tier=proposal.tier,
            finish_reason=proposal.finish_reason,
        )


async def _proposal(proposer: Proposer, remaining_s: float) -> Proposal:
    proposal = await proposer.propose(remaining_s)
    if not proposal.text.strip():
        name = proposer.name
        raise MemberFailed(device=name, code="empty", message=f"{name} gave an empty answer")
    return proposal


def progress_comment(contribution: Contribution) -> str:
    """What a caller's stream says of it, in names and numbers only."""
    if contribution.role == "revise" and contribution.answered:
        outcome = "revised"
    elif contribution.code is None:
        outcome = contribution.outcome
    else:
        outcome = f"{contribution.outcome} ({contribution.code})"
    return f"{outcome} {contribution.device} {contribution.seconds * 1000:.0f} ms"
