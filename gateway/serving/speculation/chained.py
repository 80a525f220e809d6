"""Ordinary requests whose answers come through tiers in the middle, without any device."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.ports import DraftingEngines, EndpointSource, LeaveDrafts, ModelServer
from gateway.core.speculation.eligibility import Fields
from gateway.core.speculation.job import DraftFacts, Job
from gateway.core.streams.continuation import NEUTRAL
from gateway.core.types import Endpoint, InferenceRequest
from gateway.errors import GatewayError
from gateway.protocol.headers import VERIFIER
from gateway.protocol.virtual_models import AUTO, OF_TIER
from gateway.serving.chain.chain import Chain
from gateway.serving.chain.chains import Chains, ChainTurn, ChainWish
from gateway.serving.requests.relay import InferenceHandler, Sink
from gateway.serving.speculation.drafted_server import DraftedServer

PROMPT_SHAPES = (
    "tools", "documents", "chat_template", "chat_template_kwargs", "continue_final_message",
    "reasoning_effort",
)  # fmt: skip
"""Fields of a chat that make other ids of its messages."""
TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")
"""The fields that bound an answer, the one that goes before the other first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedModels:
    """The virtual models that are chains, by their names: their stages, the lowest first. `auto`:
    the one that `tierflow-auto` takes where it goes to the chain's last stage; "": none."""

    server: ModelServer
    engines: DraftingEngines
    endpoints: EndpointSource
    chains: Chains
    stages: Mapping[str, Sequence[str]]
    auto: str

    def way(self, request: InferenceRequest) -> ModelServer | None:
        """The way to the engines for a request of a chain; None for any other."""
        name = request.chain or (self.auto if request.model == AUTO else "")
        if not name:
            return None
        return DraftedServer(
            server=self.server,
            engines=self.engines,
            drafted=ChainedRequest(models=self, stages=self.stages[name], request=request),
            stream=request.stream,
            new_id=self.chains.new_id,
            marks=request.demands.marks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedModelHandler:
    """Answers requests for virtual models that are chains as requests for their last stages."""

    inference: InferenceHandler
    stages: Mapping[str, Sequence[str]]

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None:
        """As `InferenceHandler.answer`."""
        last = self.stages[request.model][-1]
        asked = replace(request, model=OF_TIER.get(last, last), chain=request.model)
        await self.inference.answer(asked, headers, sink)


class ChainedRequest:
    """A request for a chain, at whichever endpoint of its last stage answers it
    (`DraftedRequest`)."""

    def __init__(
        self, *, models: ChainedModels, stages: Sequence[str], request: InferenceRequest
    ) -> None:
        self._models = models
        self._through, self._last = stages[:-1], stages[-1]
        self._request = request

    def source(
        self, endpoint: Endpoint, facts: DraftFacts, path: str, fields: Fields
    ) -> ChainSource | None:
        model = str(fields.get("model") or "")
        if self._last not in (endpoint.tier.value, model):
            self.unused("another-tier")
            return None
        states = self._models.endpoints.states()
        known = {state.endpoint.id: state.tokenizer for state in states}
        tokenizer = known.get(endpoint.id)
        if not tokenizer:
            self.unused("tokenizer-unknown")
            return None
        wish = ChainWish(
            through=self._through,
            below="",
            last=self._last,
            model=model,
            request=self._request,
            tokenizer=tokenizer,
        )
        messages = None if _shapes_prompt(fields) else fields.get("messages")
        return ChainSource(
            chains=self._models.chains,
            turn=self._models.chains.turn(wish),
            job=Job(session="", model=model, prompt=(), sampling=_sampling(fields)),
            vocabulary=facts.vocabulary,
            messages=messages if isinstance(messages, list) else (),
        )

    def engine_fields(self, fields: Fields) -> Fields:
        return fields

    def unused(self, reason: str) -> None:
        self._models.chains.unused("-".join((*self._through, self._last)), reason)

    def usage_details(self) -> Mapping[str, int]:
        return {}


class ChainSource:
    """A chain's tiers in the middle as a `DraftSource`. They are at work as soon as it is known
    which ids the prompt has: an engine of the lowest tier tells what they should be for a chat's
    `messages` (none: nobody is asked), and the last tier's engine, with its first token, what they
    are."""

    def __init__(
        self,
        *,
        chains: Chains,
        turn: ChainTurn,
        job: Job,
        vocabulary: int | None,
        messages: Sequence[Mapping[str, Any]],
    ) -> None:
        self._chains = chains
        self._turn = turn
        self._job = job
        self._vocabulary = vocabulary
        self._leave: LeaveDrafts | None = None
        self._chain: Chain | None = None
        self._prompt: Sequence[int] = ()
        early = messages if turn.used else ()
        self._task = asyncio.create_task(self._begin_early(early)) if early else None

    def start(self, leave: LeaveDrafts) -> None:
        self._leave = leave
        if self._chain is not None:
            self._chain.connect(leave, self._vocabulary)

    def prompt(self, ids: Sequence[int]) -> None:
        self._end_early()
        if self._chain is not None and list(self._prompt) != list(ids):
            self._chain.close()
            self._chain = None
        if self._chain is None:
            self._begin(ids)

    def advance(self, ids: Sequence[int]) -> Sequence[str]:
        if self._chain is None:
            return [VERIFIER] * len(ids)
        # Nobody drafts below the first: the places in the middle count from 1.
        stages = (*self._turn.wish.through, VERIFIER)
        return [stages[place - 1] for place in self._chain.decide(ids)]

    def close(self) -> None:
        self._end_early()
        if self._chain is not None:
            self._chain.close()

    def _begin(self, prompt: Sequence[int]) -> None:
        self._prompt = prompt
        self._chain = self._chains.open(self._turn, replace(self._job, prompt=prompt))
        if self._leave is not None:
            self._chain.connect(self._leave, self._vocabulary)

    async def _begin_early(self, messages: Sequence[Mapping[str, Any]]) -> None:
        # Where nobody tells, the tiers begin later.
        with suppress(GatewayError):
            self._begin(await self._chains.prompt_of(self._turn.wish, messages))

    def _end_early(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _shapes_prompt(fields: Fields) -> bool:
    """Whether more than its messages says which ids the prompt has: a tier in the middle that began
    with those would write for nothing."""
    if fields.get("add_generation_prompt") is False:
        return True
    return any(fields.get(name) not in NEUTRAL for name in PROMPT_SHAPES)


def _sampling(fields: Fields) -> dict[str, object]:
    """What of the request shapes the answer of a tier in the middle, too."""
    sampling = {name: fields[name] for name in fields if fields[name] is not None}
    most = next((sampling[name] for name in TOKEN_LIMITS if name in sampling), None)
    sampling.pop("max_tokens", None)
    return sampling | ({"max_tokens": most} if isinstance(most, int) else {})
