"""One answer out of many: by a server model that reads them, or by a vote."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from gateway.core.collective.answers import agreement
from gateway.core.collective.early_exit import MIN_AGREEING
from gateway.core.collective.options import Aggregate
from gateway.core.collective.report import Part
from gateway.core.collective.templates import Templates, aggregation_prompt
from gateway.core.collective.voting import Agree, Ballot, Verdict, equal, vote
from gateway.errors import GatewayError
from gateway.serving.collective.asked import Asked
from gateway.serving.collective.likelihood import Likelihood
from gateway.serving.collective.speaking import Emit, Speaking, Spoken

Served = Callable[[str], Sequence[str] | None]
"""The real models that a name may come out as, likeliest first; None for an unknown name."""


@dataclass(frozen=True, slots=True)
class Final:
    """An answer and how it came about. `spoken` where a server model said it; `fallback`: the code
    of the error for which it was voted on instead; `calls` to server models."""

    text: str
    decided_by: str
    finish_reason: str = "stop"
    disagreement: bool = False
    template: str | None = None
    spoken: Sequence[Spoken] = ()
    fallback: str | None = None


class Aggregating:
    def __init__(
        self,
        speaking: Speaking,
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

    async def decide(
        self,
        asked: Asked,
        parts: Sequence[Part],
        domain: str,
        name: str,
        emit: Emit | None,
        agree: Agree = agreement,
    ) -> Final:
        """`parts`: an answer of each member, one at least. `emit` takes the text as it comes, None:
        it is not for the caller. `name` tells this aggregate from others in logs.

        Raises GatewayError only when the server model failed after it began to speak to `emit`.
        """
        ballots = sorted((part.ballot() for part in parts), key=lambda b: -b.weight)
        verdict = vote(ballots, agree)
        how = asked.options.aggregate
        if how is Aggregate.MAJORITY:
            return await _voted(vote(equal(ballots), agree), "majority", emit)
        if how is Aggregate.WEIGHTED:
            return await _voted(verdict, "weighted", emit)
        agreed = verdict.share >= asked.options.agreement - 1e-9
        if how is Aggregate.AUTO and agreed and len(ballots) >= MIN_AGREEING:
            return await _voted(verdict, "agreement", emit)
        heard, spent = _Heard(emit), list[Spoken]()
        try:
            if how is Aggregate.BEST_OF_N or (
                how is Aggregate.AUTO and self._by_likelihood(asked.options.aggregator)
            ):
                return await self._likeliest(asked, ballots, verdict, name, emit, spent)
            return await self._read(asked, ballots, verdict, domain, name, heard)
        except GatewayError as error:
            if heard.anything:
                raise
            final = await _voted(verdict, "weighted", emit)
            return replace(final, fallback=error.code or "error", spoken=spent)

    async def plain(self, asked: Asked, emit: Emit | None) -> Final:
        """No member answered: the server model alone. Raises GatewayError."""
        messages = asked.with_last(asked.question)
        spoken = await self._speaking.speak(asked, messages, "plain", emit)
        return Final(spoken.text, "plain", spoken.finish_reason, spoken=[spoken])

    def _likely(self, model: str) -> str:
        """The real model that a virtual one most likely comes out as."""
        return (self._served(model) or (model,))[0]

    def _by_likelihood(self, model: str) -> bool:
        likely = self._likely(model)
        return any(fnmatchcase(likely, pattern) for pattern in self._rather_likelihood)

    async def _read(
        self,
        asked: Asked,
        ballots: Sequence[Ballot],
        verdict: Verdict,
        domain: str,
        name: str,
        heard: _Heard,
    ) -> Final:
        likely = self._likely(asked.options.aggregator)
        template = self._templates.choose("aggregate", likely, domain, asked.options.template)
        prompt = aggregation_prompt(template, asked.question, ballots)
        emit = heard if heard.emit is not None else None
        spoken = await self._speaking.speak(asked, asked.with_last(prompt), name, emit)
        return Final(
            spoken.text,
            "template",
            spoken.finish_reason,
            verdict.disagreement,
            template.id,
            [spoken],
        )

    async def _likeliest(
        self,
        asked: Asked,
        ballots: Sequence[Ballot],
        verdict: Verdict,
        name: str,
        emit: Emit | None,
        spent: list[Spoken],
    ) -> Final:
        best = await self._likelihood.best(asked, ballots, name, spent)
        await _emit(emit, best.reading.text)
        return Final(
            best.reading.text,
            "best-of-n",
            disagreement=verdict.disagreement,
            spoken=spent,
        )


class _Heard:
    """Passes on what is said, and remembers whether there was anything."""

    def __init__(self, emit: Emit | None) -> None:
        self.emit = emit
        self.anything = False

    async def __call__(self, text: str) -> None:
        self.anything = True
        assert self.emit is not None
        await self.emit(text)


async def _voted(verdict: Verdict, by: str, emit: Emit | None) -> Final:
    text = verdict.winner.reading.text
    await _emit(emit, text)
    return Final(text, by, disagreement=verdict.disagreement)


async def _emit(emit: Callable[[str], Awaitable[None]] | None, text: str) -> None:
    if emit is not None:
        await emit(text)
