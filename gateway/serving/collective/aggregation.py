"""Aggregation: one answer is made of many, by a server model that reads them, by their likelihood
under it, or by a vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from os.path import commonprefix

from gateway.core.collective.answers import agreement
from gateway.core.collective.early_exit import MIN_AGREEING
from gateway.core.collective.options import Aggregate
from gateway.core.collective.report import Contribution
from gateway.core.collective.templates import Templates, aggregation_prompt
from gateway.core.collective.voting import Agree, Ballot, VoteResult, best_first, unweighted, vote
from gateway.errors import ClientStalled, GatewayError
from gateway.serving.collective.best_of_n import BestOfN, Likelihoods
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.collective.server_model import ServerAnswer, ServerModel, TextSink

ServedModels = Callable[[str], Sequence[str] | None]
"""The real models that a name may stand for, likeliest first; None for an unknown name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswer:
    """An answer and how it came about. `calls`: the server model's answers that it took.
    `fallback`: the code of the error for which a vote took the server model's place."""

    text: str
    decided_by: str
    finish_reason: str = "stop"
    disagreement: bool = False
    template: str | None = None
    calls: Sequence[ServerAnswer] = ()
    fallback: str | None = None


class Aggregator:
    """The ways to make one answer of many.

    `likelihood_models`: patterns of models that judge answers better by their likelihood than by
    reading them; with these `auto` means `best-of-n`.
    """

    def __init__(
        self,
        *,
        server_model: ServerModel,
        likelihoods: Likelihoods,
        templates: Templates,
        served: ServedModels,
        likelihood_models: Sequence[str] = (),
    ) -> None:
        self._server_model = server_model
        self._likelihoods = likelihoods
        self._templates = templates
        self._served = served
        self._likelihood_models = likelihood_models

    def best_of_n(self, request: CollectiveRequest) -> BestOfN | None:
        """The choice by likelihood for one request, which the caller closes; None where the request
        is decided in another way."""
        aggregate = request.options.aggregate
        if aggregate is Aggregate.BEST_OF_N or (
            aggregate is Aggregate.AUTO and self._prefers_likelihood(request.options.aggregator)
        ):
            return BestOfN(self._likelihoods, request)
        return None

    async def decide(
        self,
        *,
        request: CollectiveRequest,
        contributions: Sequence[Contribution],
        domain: str,
        name: str,
        sink: TextSink | None,
        best_of_n: BestOfN | None,
        agree: Agree = agreement,
    ) -> FinalAnswer:
        """The answer that is made of `contributions`, one at least. `sink` gets the text as it
        comes; None: it is not for the caller. `name` tells this aggregate from others in logs.
        `best_of_n`: the request's.

        Where the server model fails, a weighted vote decides. Raises GatewayError only when the
        server model failed after it had sent text to `sink`, and the vote's winner does not begin
        with that text; ClientStalled.
        """
        ballots = best_first([contribution.ballot() for contribution in contributions])
        result = vote(ballots, agree)
        aggregate = request.options.aggregate
        sent = _SentText(sink)
        if aggregate is Aggregate.MAJORITY:
            return await _by_vote(vote(unweighted(ballots), agree), "majority", sent)
        if aggregate is Aggregate.WEIGHTED:
            return await _by_vote(result, "weighted", sent)
        agreed = result.share >= request.options.agreement - 1e-9
        if aggregate is Aggregate.AUTO and agreed and len(ballots) >= MIN_AGREEING:
            return await _by_vote(result, "agreement", sent)
        try:
            if best_of_n is not None:
                return await _by_likelihood(ballots, result, sent, best_of_n)
            return await self._by_reading(
                request, ballots, result=result, domain=domain, name=name, sent=sent
            )
        except ClientStalled:
            raise
        except GatewayError as error:
            if not result.winner.reading.text.startswith(sent.sent):
                raise
            answer = await _by_vote(result, "weighted", sent)
            calls = () if best_of_n is None else best_of_n.spent()
            return replace(answer, fallback=error.code, calls=calls)

    async def without_members(
        self, request: CollectiveRequest, sink: TextSink | None
    ) -> FinalAnswer:
        """The server model's own answer, where no member gave one. Raises GatewayError."""
        messages = request.messages
        answer = await self._server_model.answer(request, messages, "plain", sink)
        return FinalAnswer(
            text=answer.text,
            decided_by="plain",
            finish_reason=answer.finish_reason,
            calls=[answer],
        )

    def _likeliest_model(self, name: str) -> str:
        """The real model that a virtual one most likely stands for."""
        return (self._served(name) or (name,))[0]

    def _prefers_likelihood(self, name: str) -> bool:
        model = self._likeliest_model(name)
        return any(fnmatchcase(model, pattern) for pattern in self._likelihood_models)

    async def _by_reading(
        self,
        request: CollectiveRequest,
        ballots: Sequence[Ballot],
        *,
        result: VoteResult,
        domain: str,
        name: str,
        sent: _SentText,
    ) -> FinalAnswer:
        model = self._likeliest_model(request.options.aggregator)
        template = self._templates.choose("aggregate", model, domain, request.options.template)
        prompt = aggregation_prompt(template, request.question, ballots)
        sink = sent if sent.for_caller else None
        answer = await self._server_model.answer(request, request.messages_with(prompt), name, sink)
        return FinalAnswer(
            text=answer.text,
            decided_by="template",
            finish_reason=answer.finish_reason,
            disagreement=result.disagreement,
            template=template.id,
            calls=[answer],
        )


class _SentText:
    """A `TextSink` that remembers what was sent, so that nothing is sent twice. It passes the text
    on where it is `for_caller`."""

    def __init__(self, sink: TextSink | None) -> None:
        self._sink = sink
        self.for_caller = sink is not None
        self.sent = ""

    async def text(self, piece: str) -> None:
        self.sent += piece
        if self._sink is not None and piece:
            await self._sink.text(piece)

    async def complete(self, text: str) -> None:
        """Send the rest of `text`, which begins with what was sent."""
        await self.text(text[len(self.sent) :])


async def _by_vote(result: VoteResult, decided_by: str, sent: _SentText) -> FinalAnswer:
    text = result.winner.reading.text
    await sent.complete(text)
    return FinalAnswer(
        text=text,
        decided_by=decided_by,
        finish_reason=result.winner.finish_reason,
        disagreement=result.disagreement,
    )


async def _by_likelihood(
    ballots: Sequence[Ballot], result: VoteResult, sent: _SentText, best_of_n: BestOfN
) -> FinalAnswer:
    # Whichever answer wins, it begins with what all have in common.
    await sent.complete(commonprefix([ballot.reading.text for ballot in ballots]))
    winner = await best_of_n.best(ballots)
    text = winner.reading.text
    await sent.complete(text)
    return FinalAnswer(
        text=text,
        decided_by="best-of-n",
        finish_reason=winner.finish_reason,
        disagreement=result.disagreement,
        calls=best_of_n.spent(),
    )
