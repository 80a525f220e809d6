"""The deliberation of one request: members answer, a server model aggregates, the members revise in
the light of that, and one final answer comes of it (the paper's section IV-A, Fig. 10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gateway.core.collective.answers import AGREES, Reading
from gateway.core.collective.early_exit import Exit, could_agree, early_exit
from gateway.core.collective.options import VOTES, Aggregate, Options
from gateway.core.collective.quorum import answers_needed, step_deadline
from gateway.core.collective.report import (
    Contribution,
    Report,
    Role,
    best_has_answered,
    latest,
    opinions,
)
from gateway.core.collective.templates import Templates, revision_prompt
from gateway.core.collective.voting import Agree, Agreements, Ballot, best_first, unweighted
from gateway.core.ports import Clock
from gateway.errors import TooFewMembers
from gateway.serving.chat.reply import Reply
from gateway.serving.collective.aggregation import Aggregator, FinalAnswer
from gateway.serving.collective.best_of_n import BestOfN
from gateway.serving.collective.idempotency import HeldClaim
from gateway.serving.collective.options import CollectivePolicy, CollectiveRequest
from gateway.serving.collective.proposers import Proposers
from gateway.serving.collective.round import Proposer, RoundPlan, progress_comment, run_round
from gateway.serving.collective.server_model import ServerAnswer


class Deliberation:
    """One request's way from its proposers to its final answer.

    `own`: the device whose own revised answer is wanted, or "". `report` is filled in; where it
    holds contributions already, which another replica left, the deliberation goes on from there.
    """

    def __init__(
        self,
        *,
        request: CollectiveRequest,
        proposers: Proposers,
        aggregator: Aggregator,
        templates: Templates,
        policy: CollectivePolicy,
        clock: Clock,
        report: Report,
        own: str = "",
    ) -> None:
        self._request = request
        self._proposers = proposers
        self._aggregator = aggregator
        self._templates = templates
        self._policy = policy
        self._clock = clock
        self._report = report
        self._own = own
        self._agreements = Agreements()
        self._best_of_n = aggregator.best_of_n(request)
        self._deadline = clock.now() + request.options.deadline_s

    async def run(self, reply: Reply, claim: HeldClaim) -> FinalAnswer:
        """The final answer, whose text goes to `reply` as it comes; `claim` keeps each round that
        is done.

        Raises TooFewMembers where the request prefers an error to fewer answers than the quorum;
        Conflict when another replica took the request over; GatewayError when no member answered
        and the server model fails too, or when it fails in the middle of the final answer.
        """
        try:
            return await self._run(reply, claim)
        finally:
            if self._best_of_n is not None:
                await self._best_of_n.close()
                self._spend(self._best_of_n.spent())

    async def _run(self, reply: Reply, claim: HeldClaim) -> FinalAnswer:
        if not self._report.contributions:
            chosen = self._proposers.chosen
            self._report.chosen = [proposer.name for proposer in chosen]
            self._report.quorum = self._answers_needed(max(1, len(chosen)))
            await self._first_round(reply)
            await claim.keep_round(self._report)
        self._judge_quorum()
        if self._report.answered:
            await reply.begin()
        last_round = max(
            (contribution.round for contribution in self._report.contributions), default=0
        )
        for round_ in range(last_round + 1, self._request.options.rounds + 1):
            if not await self._revise(round_, reply):
                break
            await claim.keep_round(self._report)
        return await self._conclude(reply)

    async def _first_round(self, reply: Reply) -> None:
        options, chosen = self._request.options, self._proposers.chosen
        quorum = self._answers_needed(len(chosen))
        if not chosen or (not options.degrade and quorum > len(chosen)):
            # The quorum can't be met, and the request prefers an error: no member should work.
            return
        if self._best_of_n is not None and len(chosen) > 1:
            self._best_of_n.begin()
        stop = StopCondition(
            options=options, quorum=quorum, agree=self._agreements, best_of_n=self._best_of_n
        )
        await reply.say("selected " + " ".join(proposer.name for proposer in chosen))
        with self._timed("answer"):
            self._report.early_exit = await self._round(
                "answer",
                0,
                proposers=chosen,
                spare=self._proposers.spare,
                reply=reply,
                stop=stop,
            )

    async def _round(
        self,
        role: Role,
        round_: int,
        *,
        proposers: Sequence[Proposer],
        spare: Sequence[Proposer],
        reply: Reply,
        stop: StopCondition | None,
    ) -> Exit | None:
        options, best_of_n = self._request.options, self._best_of_n
        remaining_steps = options.rounds + 1 - round_
        plan = RoundPlan(
            role=role,
            round=round_,
            # More answers than there are proposers can't come: the round does not wait for them.
            # Whether the quorum was met is judged by the number that was needed.
            quorum=min(self._answers_needed(len(proposers)), len(proposers)),
            deadline=step_deadline(self._clock.now(), self._deadline, remaining_steps),
            grace=self._policy.grace,
            exit=stop if stop is not None else lambda contributions, merits: None,
            strict=role == "answer" and not options.degrade,
            pending=tuple if best_of_n is None else best_of_n.pending,
        )

        async def heard(contribution: Contribution) -> None:
            # An error before the first answer has its status: of a prompt that is too long for
            # every part, for example. A request that prefers an error to a missed quorum begins
            # when the quorum is met.
            if contribution.answered and options.degrade:
                await reply.begin()
            await reply.say(progress_comment(contribution))

        result = await run_round(
            proposers=proposers, spare=spare, plan=plan, clock=self._clock, heard=heard
        )
        self._report.contributions += result.contributions
        return result.exit

    def _answers_needed(self, proposers: int) -> int:
        return answers_needed(proposers, self._request.options.quorum, self._policy.quorum)

    def _judge_quorum(self) -> None:
        report, options = self._report, self._request.options
        report.answered = sum(
            contribution.answered and contribution.role == "answer"
            for contribution in report.contributions
        )
        # After an early exit the outcome is certain, however few have answered.
        if report.answered >= report.quorum or report.early_exit is not None:
            return
        if not options.degrade:
            raise TooFewMembers(
                f"{report.answered} members answered, and the quorum is {report.quorum}; send the "
                "request again, lower tierflow.collective.quorum, or set on_too_few to degrade",
                retry_after=1.0,
                code="too_few_members",
            )
        if not report.contributions:
            report.degraded = "no_members"
        else:
            report.degraded = "quorum_missed" if report.answered else "no_answers"

    async def _revise(self, round_: int, reply: Reply) -> bool:
        """Have the members revise their answers in the light of an interim aggregate. Gives False
        when no round took place, because all agree already or none can revise."""
        answers = latest(self._report.contributions)
        if not answers:
            return False
        with self._timed("aggregate"):
            interim = Reading((await self._decide(f"interim-{round_}", None)).text)
        all_agree = all(self._agreements(a.reading, interim) >= AGREES for a in answers)
        if all_agree and not self._own:
            return False
        revisers = [
            r for contribution in answers if (r := self._reviser(contribution, interim)) is not None
        ]
        if not revisers:
            return False
        await reply.say(f"revising {' '.join(proposer.name for proposer in revisers)}")
        with self._timed("revise"):
            await self._round(
                "revise", round_, proposers=revisers, spare=(), reply=reply, stop=None
            )
        self._report.rounds = round_
        return True

    def _reviser(self, contribution: Contribution, interim: Reading) -> Proposer | None:
        request, domain = self._request, self._report.domain
        model = self._proposers.model(contribution)
        template = self._templates.choose("revise", model, domain, request.options.template)
        prompt = revision_prompt(template, request.question, contribution.reading, interim)
        return self._proposers.reviser(contribution, request.messages_with(prompt))

    async def _conclude(self, reply: Reply) -> FinalAnswer:
        answers = latest(self._report.contributions)
        if self._own:
            if own := next(
                (contribution for contribution in answers if contribution.device == self._own), None
            ):
                await reply.text(own.text)
                return self._noted(
                    FinalAnswer(text=own.text, decided_by="own", finish_reason=own.finish_reason)
                )
            self._report.degraded = self._report.degraded or "own_missing"
        with self._timed("aggregate"):
            if not answers:
                return self._noted(
                    await self._aggregator.without_members(self._request, _Begun(reply))
                )
            return await self._decide("aggregate", reply)

    async def _decide(self, name: str, reply: Reply | None) -> FinalAnswer:
        return self._noted(
            await self._aggregator.decide(
                request=self._request,
                contributions=opinions(self._report.contributions),
                domain=self._report.domain,
                name=name,
                sink=reply,
                best_of_n=self._best_of_n,
                agree=self._agreements,
            )
        )

    def _noted(self, answer: FinalAnswer) -> FinalAnswer:
        report = self._report
        report.decided_by = answer.decided_by
        report.fallback = answer.fallback or report.fallback
        report.disagreement = report.disagreement or answer.disagreement
        self._spend(answer.calls)
        return answer

    def _spend(self, calls: Sequence[ServerAnswer]) -> None:
        self._report.server_calls += len(calls)
        for call in calls:
            self._report.aggregator = call.model, call.tier
            self._report.spend(call.tier, call.prompt_tokens, call.completion_tokens)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = self._clock.now()
        try:
            yield
        finally:
            steps = self._report.steps
            steps[step] = steps.get(step, 0.0) + self._clock.now() - began


class StopCondition:
    """The test whether the first answers are enough, so that the others need not be waited for.

    `quorum`: the number of answers that is needed. `best_of_n`: scores answers that differ; None
    where likelihood does not decide.
    """

    def __init__(
        self, *, options: Options, quorum: int, agree: Agree, best_of_n: BestOfN | None
    ) -> None:
        self._options = options
        self._quorum = quorum
        self._agree = agree
        self._best_of_n = best_of_n

    def __call__(
        self, contributions: Sequence[Contribution], merits: Sequence[float]
    ) -> Exit | None:
        """`merits` of the proposers that still work: the largest weights of their answers."""
        aggregate = self._options.aggregate
        ballots = [contribution.ballot() for contribution in contributions if contribution.answered]
        outstanding = sum(merits)
        if aggregate is Aggregate.MAJORITY:
            ballots, outstanding = unweighted(ballots), float(len(merits))
        if aggregate in (Aggregate.AUTO, *VOTES):
            exit = early_exit(
                ballots,
                outstanding,
                quorum=self._quorum,
                agreement=self._options.agreement,
                decisive=aggregate in VOTES,
                best_answered=best_has_answered(contributions, merits),
                agree=self._agree,
            )
            if exit is not None:
                return exit
        return None if self._best_of_n is None else self._by_likelihood(ballots, merits)

    def _by_likelihood(self, ballots: Sequence[Ballot], merits: Sequence[float]) -> Exit | None:
        assert self._best_of_n is not None
        winner = self._best_of_n.winner_so_far(best_first(ballots), merits)
        if winner is None or self._options.rounds > 0:
            # Before a revision all members are to be heard.
            return None
        if self._options.aggregate is Aggregate.AUTO and could_agree(
            ballots, winner, sum(merits), self._options.agreement, self._agree
        ):
            return None
        return Exit.DECIDED


class _Begun:
    """The `TextSink` of a reply that begins with its first text."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def text(self, piece: str) -> None:
        await self._reply.begin()
        await self._reply.text(piece)
