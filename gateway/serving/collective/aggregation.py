"""One answer out of many: by a server model that reads them, or by a vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from os.path import commonprefix

from gateway.core.collective.answers import agreement
from gateway.core.collective.early_exit import MIN_AGREEING
from gateway.core.collective.options import Aggregate
from gateway.core.collective.report import Part
from gateway.core.collective.templates import Templates, aggregation_prompt
from gateway.core.collective.voting import Agree, Ballot, VoteResult, best_first, equal, vote
from gateway.errors import ClientStalled, GatewayError
from gateway.serving.collective.best_of_n import BestOfN
from gateway.serving.collective.likelihood import Likelihood
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.collective.server_model import Emit, ServerAnswer, ServerModel

Served = Callable[[str], Sequence[str] | None]
"""The real models that a name may come out as, likeliest first; None for an unknown name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """An answer and how it came about. `spoken` where a server model said it; `fallback`: the code
    of the error for which it was voted on instead; `calls` to server models."""

    text: str
    decided_by: str
    finish_reason: str = "stop"
    disagreement: bool = False
    template: str | None = None
    spoken: Sequence[ServerAnswer] = ()
    fallback: str | None = None


class Aggregator:
    def __init__(
        self,
        *,
        speaking: ServerModel,
        likelihood: Likelihood,
        templates: Templates,
        served: Served,
        rather_likelihood: Sequence[str] = (),
    ) -> None:
        """`rather_likelihood`: patterns of models that judge answers better by their likelihood
        than by reading them, which is what `auto` has them do."""
        self._rather_likelihood = rather_likelihood
        self._speaking = speaking
        self._likelihood = likelihood
        self._templates = templates
        self._served = served

    def weighing(self, asked: CollectiveRequest) -> BestOfN | None:
        """For one request, to be closed at its end; None where answers are not weighed."""
        how = asked.options.aggregate
        if how is Aggregate.BEST_OF_N or (
            how is Aggregate.AUTO and self._by_likelihood(asked.options.aggregator)
        ):
            return BestOfN(self._likelihood, asked)
        return None

    async def decide(
        self,
        asked: CollectiveRequest,
        parts: Sequence[Part],
        domain: str,
        name: str,
        emit: Emit | None,
        weighing: BestOfN | None,
        agree: Agree = agreement,
    ) -> Final:
        """`parts`: an answer of each member, one at least. `emit` takes the text as it comes, None:
        it is not for the caller. `name` tells this aggregate from others in logs. `weighing`: the
        request's.

        Raises GatewayError only when the server model failed after it began to speak to `emit`, and
        a vote would not have begun so; ClientStalled.
        """
        ballots = best_first([part.ballot() for part in parts])
        verdict = vote(ballots, agree)
        how = asked.options.aggregate
        said = _Said(emit)
        if how is Aggregate.MAJORITY:
            return await _voted(vote(equal(ballots), agree), "majority", said)
        if how is Aggregate.WEIGHTED:
            return await _voted(verdict, "weighted", said)
        agreed = verdict.share >= asked.options.agreement - 1e-9
        if how is Aggregate.AUTO and agreed and len(ballots) >= MIN_AGREEING:
            return await _voted(verdict, "agreement", said)
        try:
            if weighing is not None:
                return await _likeliest(ballots, verdict, said, weighing)
            return await self._read(asked, ballots, verdict, domain, name, said)
        except ClientStalled:
            raise
        except GatewayError as error:
            if not verdict.winner.reading.text.startswith(said.text):
                raise
            final = await _voted(verdict, "weighted", said)
            spent = () if weighing is None else weighing.spent()
            return replace(final, fallback=error.code or "error", spoken=spent)

    async def plain(self, asked: CollectiveRequest, emit: Emit | None) -> Final:
        """No member answered: the server model alone. Raises GatewayError."""
        messages = asked.with_last(asked.question)
        spoken = await self._speaking.speak(asked, messages, "plain", emit)
        return Final(
            text=spoken.text,
            decided_by="plain",
            finish_reason=spoken.finish_reason,
            spoken=[spoken],
        )

    def _likely(self, model: str) -> str:
        """The real model that a virtual one most likely comes out as."""
        return (self._served(model) or (model,))[0]

    def _by_likelihood(self, model: str) -> bool:
        likely = self._likely(model)
        return any(fnmatchcase(likely, pattern) for pattern in self._rather_likelihood)

    async def _read(
        self,
        asked: CollectiveRequest,
        ballots: Sequence[Ballot],
        verdict: VoteResult,
        domain: str,
        name: str,
        said: _Said,
    ) -> Final:
        likely = self._likely(asked.options.aggregator)
        template = self._templates.choose("aggregate", likely, domain, asked.options.template)
        prompt = aggregation_prompt(template, asked.question, ballots)
        emit = None if said.emit is None else said
        spoken = await self._speaking.speak(asked, asked.with_last(prompt), name, emit)
        return Final(
            text=spoken.text,
            decided_by="template",
            finish_reason=spoken.finish_reason,
            disagreement=verdict.disagreement,
            template=template.id,
            spoken=[spoken],
        )


class _Said:
    """Passes on what is said, and remembers it: nobody is told anything twice."""

    def __init__(self, emit: Emit | None) -> None:
        self.emit = emit
        self.text = ""

    async def __call__(self, text: str) -> None:
        self.text += text
        if self.emit is not None and text:
            await self.emit(text)

    async def up_to(self, text: str) -> None:
        """`text` begins with what was said."""
        await self(text[len(self.text) :])


async def _voted(verdict: VoteResult, by: str, said: _Said) -> Final:
    text = verdict.winner.reading.text
    await said.up_to(text)
    return Final(text=text, decided_by=by, disagreement=verdict.disagreement)


async def _likeliest(
    ballots: Sequence[Ballot], verdict: VoteResult, said: _Said, weighing: BestOfN
) -> Final:
    # Whichever it is, it begins with what they have in common.
    await said.up_to(commonprefix([ballot.reading.text for ballot in ballots]))
    text = (await weighing.best(ballots)).reading.text
    await said.up_to(text)
    spent = weighing.spent()
    return Final(text=text, decided_by="best-of-n", disagreement=verdict.disagreement, spoken=spent)
