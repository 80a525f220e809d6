"""One request's way through the four steps: chosen members answer, a server model aggregates, the
members revise in the light of that, one answer comes back (the paper's section IV-A, Fig. 10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from gateway.core.collective.answers import AGREES, Reading
from gateway.core.collective.early_exit import Exit
from gateway.core.collective.quorum import needed, step_deadline
from gateway.core.collective.report import Part, Report, Role, latest, opinions
from gateway.core.collective.templates import Templates, revision_prompt
from gateway.core.collective.voting import Agreements
from gateway.core.ports import Clock
from gateway.errors import TooFewMembers
from gateway.serving.collective.aggregation import Aggregator, Final
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.collective.policy import CollectivePolicy
from gateway.serving.collective.proposers import Proposers
from gateway.serving.collective.round import Gathered, Plan, Proposer, Say, gather
from gateway.serving.collective.server_model import Emit, ServerAnswer
from gateway.serving.collective.stop_condition import StopCondition

Keep = Callable[[], Awaitable[None]]
"""Leaves what the report holds so far to whoever may have to take over; raises Conflict when
another has."""


class Deliberation:
    """`own`: the device whose own revised answer is wanted, or "". `report` is filled in."""

    def __init__(
        self,
        *,
        asked: CollectiveRequest,
        panel: Proposers,
        aggregating: Aggregator,
        templates: Templates,
        policy: CollectivePolicy,
        clock: Clock,
        report: Report,
        own: str = "",
    ) -> None:
        self._asked = asked
        self._panel = panel
        self._aggregating = aggregating
        self._templates = templates
        self._policy = policy
        self._clock = clock
        self._report = report
        self._own = own
        self._agreements = Agreements()
        self._weighing = aggregating.weighing(asked)
        self._deadline = clock.now() + asked.options.deadline_s

    async def run(
        self, say: Say, emit: Emit, ready: Callable[[], Awaitable[None]], keep: Keep
    ) -> Final:
        """The final answer, its text given to `emit` as it comes; `ready` is called when the quorum
        question is settled. Raises TooFewMembers where the request would rather fail; GatewayError
        when no member answered and the server model can't either, or when it failed in the middle
        of the final answer."""
        try:
            return await self._run(say, emit, ready, keep)
        finally:
            if self._weighing is not None:
                await self._weighing.close()
                self._spend(self._weighing.spent())

    async def _run(
        self, say: Say, emit: Emit, ready: Callable[[], Awaitable[None]], keep: Keep
    ) -> Final:
        if not self._report.parts:
            seats = self._panel.seats
            self._report.asked = [seat.name for seat in seats]
            self._report.quorum = self._needed(max(1, len(seats)))
            await self._first(say)
            await keep()
        self._judge_quorum()
        await ready()
        for round_ in range(self._done() + 1, self._asked.options.rounds + 1):
            if not await self._revise(round_, say):
                break
            await keep()
        return await self._conclude(emit)

    def _done(self) -> int:
        return max((part.round for part in self._report.parts), default=0)

    async def _first(self, say: Say) -> None:
        seats = self._panel.seats
        if not seats or (not self._asked.options.degrade and self._needed(len(seats)) > len(seats)):
            # For an error that is certain nobody need work.
            return
        if self._weighing is not None and len(seats) > 1:
            self._weighing.begin()
        quorum = self._needed(len(seats))
        ending = StopCondition(
            options=self._asked.options,
            quorum=quorum,
            agree=self._agreements,
            weighing=self._weighing,
        )
        await say("selected " + " ".join(seat.name for seat in seats))
        with self._timed("answer"):
            found = await self._gather(seats, self._panel.spare, "answer", 0, say, ending)
        self._report.parts += found.parts
        self._report.early_exit = found.exit

    async def _gather(
        self,
        seats: Sequence[Proposer],
        spare: Sequence[Proposer],
        role: Role,
        round_: int,
        say: Say,
        exit: Callable[[Sequence[Part], Sequence[float]], Exit | None],
    ) -> Gathered:
        steps = self._asked.options.rounds + 1 - round_
        deadline = step_deadline(self._clock.now(), self._deadline, steps)
        # Nobody waits for answers that can't come; the verdict is on the number that was asked for.
        quorum = min(self._needed(len(seats)), len(seats))
        firm = role == "answer" and not self._asked.options.degrade
        pending = tuple if self._weighing is None else self._weighing.pending
        plan = Plan(
            role=role,
            round=round_,
            quorum=quorum,
            deadline=deadline,
            grace=self._policy.grace,
            exit=exit,
            firm=firm,
            pending=pending,
        )
        return await gather(seats, spare, plan, self._clock, say)

    def _needed(self, asked: int) -> int:
        return needed(asked, self._asked.options.quorum, self._policy.quorum)

    def _judge_quorum(self) -> None:
        report, options = self._report, self._asked.options
        report.answered = sum(part.answered and part.role == "answer" for part in report.parts)
        # A lead that can't be caught up needs no quorum.
        if report.answered >= report.quorum or report.early_exit is not None:
            return
        if not options.degrade:
            raise TooFewMembers(
                f"{report.answered} of the {report.quorum} members that the quorum needs answered; "
                "ask again, lower tierflow.collective.quorum, or set on_too_few to degrade",
                retry_after=1.0,
                code="too_few_members",
            )
        if not report.parts:
            report.degraded = "no_members"
        else:
            report.degraded = "quorum_missed" if report.answered else "no_answers"

    async def _revise(self, round_: int, say: Say) -> bool:
        """Whether a round took place: nobody is asked again when all agree already."""
        standing = latest(self._report.parts)
        if not standing:
            return False
        with self._timed("aggregate"):
            said = opinions(self._report.parts)
            interim = await self._decide(said, f"interim-{round_}", None)
        other = Reading(interim.text)
        agree = self._agreements
        if all(agree(part.reading, other) >= AGREES for part in standing) and not self._own:
            return False
        seats = [seat for part in standing if (seat := self._reviser(part, other)) is not None]
        if not seats:
            return False
        await say(f"revising {' '.join(seat.name for seat in seats)}")
        with self._timed("revise"):
            found = await self._gather(seats, (), "revise", round_, say, lambda p, m: None)
        self._report.parts += found.parts
        self._report.rounds = round_
        return True

    def _reviser(self, part: Part, other: Reading) -> Proposer | None:
        asked, domain = self._asked, self._report.domain
        model = self._panel.model(part)
        template = self._templates.choose("revise", model, domain, asked.options.template)
        prompt = revision_prompt(template, asked.question, part.reading, other)
        return self._panel.reviser(part, asked.with_last(prompt))

    async def _conclude(self, emit: Emit) -> Final:
        standing = latest(self._report.parts)
        if self._own:
            if own := next((part for part in standing if part.device == self._own), None):
                await emit(own.text)
                return self._noted(Final(text=own.text, decided_by="own"))
            self._report.degraded = self._report.degraded or "own_missing"
        with self._timed("aggregate"):
            if not standing:
                return self._noted(await self._aggregating.plain(self._asked, emit))
            return await self._decide(opinions(self._report.parts), "aggregate", emit)

    async def _decide(self, parts: Sequence[Part], name: str, emit: Emit | None) -> Final:
        domain = self._report.domain
        return self._noted(
            await self._aggregating.decide(
                self._asked, parts, domain, name, emit, self._weighing, self._agreements
            )
        )

    def _noted(self, final: Final) -> Final:
        report = self._report
        report.decided_by = final.decided_by
        report.fallback = final.fallback or report.fallback
        report.disagreement = report.disagreement or final.disagreement
        self._spend(final.spoken)
        return final

    def _spend(self, calls: Sequence[ServerAnswer]) -> None:
        self._report.server_calls += len(calls)
        for spoken in calls:
            self._report.aggregator = spoken.model, spoken.tier
            self._report.spend(spoken.tier, spoken.prompt_tokens, spoken.completion_tokens)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = self._clock.now()
        try:
            yield
        finally:
            steps = self._report.steps
            steps[step] = steps.get(step, 0.0) + self._clock.now() - began
