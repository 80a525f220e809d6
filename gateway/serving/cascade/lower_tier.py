"""Asks a tier below the top, so that its answer can be judged and handed up."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.ports import EndpointSource
from gateway.core.types import Demands
from gateway.core.types import Tier as Place
from gateway.core.upstream_errors import not_a_chat_completion
from gateway.protocol.virtual_models import CLOUD, EDGE
from gateway.serving.cascade.answers import AnswerPiece, LowerAnswer, piece_of, prompt_tokens
from gateway.serving.cascade.options import CascadeRequest
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply

ANY = "any"
_PLACES: Mapping[str, Place] = {EDGE: Place.EDGE, CLOUD: Place.CLOUD}


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage as it is asked: `model` may be virtual; `devices` instead of it, ids or `any`."""

    model: str = ""
    devices: tuple[str, ...] = ()
    max_tokens: int | None = None

    @property
    def name(self) -> str:
        return self.model or "device"

    @property
    def place(self) -> Place | None:
        """Where its virtual model prefers to be answered; None for a model's own name."""
        return _PLACES.get(self.model)


@dataclass(frozen=True, slots=True)
class LowerTier:
    """Asks through the gateway's own pools."""

    calls: EngineCalls
    endpoints: EndpointSource

    async def whole(
        self, asked: CascadeRequest, tier: StageSpec, deadline_s: float | None
    ) -> LowerAnswer:
        """Raises what `EngineCalls.whole` does."""
        body = _body(asked, tier)
        if asked.top_logprobs:
            body["top_logprobs"] = asked.top_logprobs
        answered = await self.calls.whole(_call(asked, tier, body, deadline_s))
        try:
            choice = answered.body["choices"][0]
            piece = piece_of(choice, choice["message"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise not_a_chat_completion(answered.endpoint) from error
        draft = self._draft(answered)
        draft.take(piece)
        draft.body = answered.body
        _count(draft, answered.body)
        draft.cut = _cut(draft, asked, tier)
        return draft

    async def stream(
        self, asked: CascadeRequest, tier: StageSpec, deadline_s: float | None
    ) -> AsyncGenerator[tuple[LowerAnswer, AnswerPiece]]:
        """Each piece as it comes, with all that has come so far. Stop texts are left to the
        caller, who must find one that lies across the switch, too."""
        call = _call(asked, tier, _body(asked, tier, stops=False), deadline_s)
        draft: LowerAnswer | None = None
        async with aclosing(self.calls.stream(call)) as events:
            async for event in events:
                draft = draft or self._draft(event)
                _count(draft, event.body)
                for choice in event.body.get("choices") or ():
                    try:
                        piece = piece_of(choice, choice["delta"])
                    except (KeyError, TypeError, ValueError) as error:
                        raise not_a_chat_completion(event.endpoint) from error
                    draft.take(piece)
                    draft.cut = _cut(draft, asked, tier)
                    if piece.text or piece.ids or piece.reason:
                        yield draft, piece

    def _draft(self, answered: EngineReply) -> LowerAnswer:
        state = next(
            (s for s in self.endpoints.states() if s.endpoint.id == answered.endpoint), None
        )
        tokenizer = state.tokenizer if state is not None else None
        return LowerAnswer(
            model=answered.model,
            tier=answered.tier,
            endpoint=answered.endpoint,
            tokenizer=tokenizer,
        )


def _body(asked: CascadeRequest, tier: StageSpec, *, stops: bool = True) -> dict[str, Any]:
    body = {**asked.fields(stops=stops), "logprobs": True, "return_token_ids": True}
    bounds = [bound for bound in (asked.most, tier.max_tokens) if bound is not None]
    return body | ({"max_tokens": min(bounds)} if bounds else {})


def _call(
    asked: CascadeRequest, tier: StageSpec, body: dict[str, Any], deadline_s: float | None
) -> EngineCall:
    return EngineCall(
        parent=asked.request,
        part="draft",
        model=tier.model,
        body=body,
        demands=demands_of(asked, deadline_s),
    )


def demands_of(asked: CascadeRequest, deadline_s: float | None = None) -> Demands:
    """The caller's own, with a deadline in seconds from now."""
    return replace(asked.request.demands, deadline_s=deadline_s)


def demands_within(asked: CascadeRequest, tier: StageSpec, deadline_s: float | None) -> Demands:
    """For what only this tier's own model can say: it overflows to none above."""
    demands, place = demands_of(asked, deadline_s), tier.place
    if place is None or (demands.max_tier is not None and demands.max_tier.rank < place.rank):
        return demands
    return replace(demands, max_tier=place)


def _count(draft: LowerAnswer, body: Mapping[str, Any]) -> None:
    draft.prompt_tokens = prompt_tokens(body) or draft.prompt_tokens
    if isinstance(usage := body.get("usage"), dict):
        draft.tokens = max(int(usage.get("completion_tokens") or 0), len(draft.ids))


def _cut(draft: LowerAnswer, asked: CascadeRequest, tier: StageSpec) -> bool:
    """At the tier's limit; an answer that ends at the caller's own bound is what was asked for."""
    if draft.reason != "length":
        return False
    return asked.most is None or draft.tokens < asked.most
