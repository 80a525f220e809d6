"""Asks the top tier: the small answer goes along as a prediction where that can be verified."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.body import prompt_chars_and_key
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.routing.routing import Choice
from gateway.core.types import InferenceRequest
from gateway.core.upstream_errors import not_a_chat_completion
from gateway.errors import NoEndpoint
from gateway.serving.cascade.answers import AnswerPiece, piece_of, prompt_tokens
from gateway.serving.cascade.escalation_state import Escalation
from gateway.serving.cascade.lower_tier import StageSpec, demands_of
from gateway.serving.cascade.options import CascadeRequest
from gateway.serving.cascade.verified_prediction import VerifiedPrediction
from gateway.serving.requests.attempts import Attempts
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.verifiers import VerifierEndpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class TopTier:
    """`new_id` gives hex digits that nobody can guess."""

    verifiers: VerifierEndpoints
    calls: EngineCalls
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]

    async def answer(
        self, asked: CascadeRequest, tier: StageSpec, ascent: Escalation
    ) -> AsyncGenerator[AnswerPiece]:
        """The top tier's own answer after what has been sent.

        Raises what `Routing.choose` and `EngineCalls.stream` do. Until the first piece another
        endpoint is tried for one that fails.
        """
        attempts = self.verifiers.attempts()
        while True:
            try:
                choice = self._choose(asked, tier, ascent, attempts)
            except NoEndpoint:
                attempts.raise_failure()
                if tier.model in VIRTUAL_MODELS:
                    raise _nothing_above(tier) from None
                # A pool that holds requests while it is empty does so in the ordinary way.
                choice = None
            if choice is None or not _can_verify(asked, ascent, choice):
                async with aclosing(self._plainly(asked, choice, tier, ascent)) as plain:
                    async for piece in plain:
                        yield piece
                return
            with attempts.at(choice) as slot:
                run = VerifiedPrediction(
                    verifiers=self.verifiers,
                    timeouts=self.timeouts,
                    new_id=self.new_id,
                    asked=asked,
                    slot=slot,
                )
                async with aclosing(run.pieces(ascent)) as pieces:
                    async for piece in pieces:
                        slot.begun = True
                        yield piece
                return

    def _choose(
        self, asked: CascadeRequest, tier: StageSpec, ascent: Escalation, attempts: Attempts
    ) -> Choice:
        """An endpoint of the tier, none whose model has answered already: an overflow would only
        ask that one again."""
        found = self.verifiers
        states = found.endpoints.states()
        if tier.model in VIRTUAL_MODELS:
            states = [s for s in states if next(iter(s.models), None) not in ascent.below]
        request = _request(asked, tier, ascent)
        return found.routing.choose(
            request, states, found.clock.now(), found.uniform, attempts.failed_ids
        )

    async def _plainly(
        self, asked: CascadeRequest, choice: Choice | None, tier: StageSpec, ascent: Escalation
    ) -> AsyncGenerator[AnswerPiece]:
        body: dict[str, Any] = asked.fields(stops=ascent.stops)
        body["return_token_ids"] = True
        if asked.most is not None:
            body["max_tokens"] = max(1, asked.most - len(ascent.sent_ids))
        if ascent.sent_text:
            begun = {"role": "assistant", "content": ascent.sent_text}
            body["messages"] = [*asked.messages, begun]
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        model = choice.model if choice is not None else tier.model
        demands = demands_of(asked, ascent.deadline_s)
        call = EngineCall(
            parent=asked.request, part="escalation", model=model, body=body, demands=demands
        )
        async with aclosing(self.calls.stream(call)) as events:
            async for event in events:
                ascent.model, ascent.tier = event.model, event.tier
                ascent.endpoint = event.endpoint
                ascent.prompt_tokens = prompt_tokens(event.body) or ascent.prompt_tokens
                if usage := event.body.get("usage"):
                    ascent.tokens = usage.get("completion_tokens") or ascent.tokens
                for given in event.body.get("choices") or ():
                    try:
                        piece = piece_of(given, given["delta"])
                    except (KeyError, TypeError, ValueError) as error:
                        raise not_a_chat_completion(event.endpoint) from error
                    if piece.text or piece.ids or piece.reason:
                        # Whoever finds a stop text reads no further, and hears of no usage.
                        ascent.tokens += piece.tokens
                        yield piece


def _can_verify(asked: CascadeRequest, ascent: Escalation, choice: Choice) -> bool:
    """Whether the answer can be made out of token ids; `ascent.how` says why not."""
    if not asked.portable:
        ascent.how = "not-portable"
    elif not (ascent.predicted or ascent.sent_ids):
        ascent.how = "no-prediction"
    elif ascent.tokenizer is None or choice.state.tokenizer != ascent.tokenizer:
        ascent.how = "tokenizer-differs"
    else:
        ascent.how = "verified"
    return ascent.how == "verified"


def _request(asked: CascadeRequest, tier: StageSpec, ascent: Escalation) -> InferenceRequest:
    chars, key = prompt_chars_and_key({"messages": asked.messages})
    return replace(
        asked.request,
        id=f"{asked.request.id}/verification",
        model=tier.model,
        path="/v1/completions",
        body=b"",
        stream=True,
        prompt_chars=chars,
        prefix_key=key,
        demands=demands_of(asked, ascent.deadline_s),
    )


def _nothing_above(tier: StageSpec) -> NoEndpoint:
    return NoEndpoint(
        f"no endpoint above the lower tiers can answer for {tier.model} now; see /ready",
        retry_after=2.0,
        code="no_endpoint",
    )
