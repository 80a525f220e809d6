"""The top tier, asked for its own answer: the lower answer goes along as a prediction where that
can be verified."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Set
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gateway.core.bodies.body import prompt_chars_and_key
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.routing.routing import Choice
from gateway.core.streams.chat_answer import completion_tokens, prompt_tokens
from gateway.core.types import InferenceRequest
from gateway.errors import NoEndpoint, UpstreamError
from gateway.protocol.paths import COMPLETIONS
from gateway.serving.cascade.answers import (
    AnswerPiece,
    Escalation,
    piece_of,
    rendered_prompt,
    usage_details,
)
from gateway.serving.cascade.options import CascadeRequest, StageSpec
from gateway.serving.cascade.verified_prediction import VerifiedPrediction
from gateway.serving.requests.attempts import Attempts, EndpointSlot
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply
from gateway.serving.requests.first_token_wait import FirstTokenWait
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout
from gateway.serving.requests.resumptions import Resumptions
from gateway.serving.requests.verifiers import VerifierEndpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class TopTier:
    """The top stage of the cascade. `new_id` gives hex digits that nobody can guess."""

    verifiers: VerifierEndpoints
    calls: EngineCalls
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]

    async def answer(
        self, request: CascadeRequest, stage: StageSpec, escalation: Escalation
    ) -> AsyncGenerator[AnswerPiece]:
        """The top tier's own answer after what has been sent; `escalation` is filled in.

        Raises what `Routing.choose` and `EngineCalls.stream` do. Another endpoint is tried for one
        that fails, and goes on from the ids that have been made.
        """
        attempts = self.verifiers.attempts(request.inference.caller.id)
        with Resumptions("cascade", self.verifiers.telemetry) as resumptions:
            while True:
                choice = self._next_choice(request, stage, escalation, attempts)
                if choice is None or not _can_verify(request, escalation, choice):
                    if escalation.made_ids:
                        attempts.raise_failure()
                    model = stage.model if choice is None else choice.model
                    async with aclosing(self._completion(request, model, escalation)) as pieces:
                        async for piece in pieces:
                            yield piece
                    return
                with attempts.at(choice) as slot:
                    slot.resumable = request.divisible and self.verifiers.continues
                    wait = partial(
                        attempts.first_token_wait,
                        choose=partial(self._choose, request, stage, escalation),
                        prompt_chars=_verification_request(request, stage, escalation).prompt_chars,
                    )
                    verified = self._verified(request, slot, escalation, wait, resumptions)
                    async with aclosing(verified) as pieces:
                        async for piece in pieces:
                            yield piece
                    return

    async def _verified(
        self,
        request: CascadeRequest,
        slot: EndpointSlot,
        escalation: Escalation,
        wait: Callable[[EndpointSlot, ProgressTimeout], FirstTokenWait],
        resumptions: Resumptions,
    ) -> AsyncGenerator[AnswerPiece]:
        """The answer as far as the endpoint of this place makes it. Raises UpstreamError."""
        prediction = VerifiedPrediction(
            verifiers=self.verifiers,
            timeouts=self.timeouts,
            new_id=self.new_id,
            request=request,
            slot=slot,
            first_token_wait=wait,
        )
        try:
            async with aclosing(prediction.pieces(escalation)) as pieces:
                async for piece in pieces:
                    slot.begun = True
                    resumptions.went_on()
                    yield piece
        except UpstreamError as error:
            if slot.begun and slot.resumable:
                resumptions.broke(error.code)
            raise

    def _next_choice(
        self,
        request: CascadeRequest,
        stage: StageSpec,
        escalation: Escalation,
        attempts: Attempts,
    ) -> Choice | None:
        """None: a chat completion waits for an empty pool to come up, where that is configured."""
        try:
            return self._choose(request, stage, escalation, attempts.failed_ids)
        except NoEndpoint:
            if attempts.return_to_broken():
                return self._next_choice(request, stage, escalation, attempts)
            attempts.raise_failure()
            if stage.model in VIRTUAL_MODELS:
                raise _no_endpoint_above(stage) from None
            return None

    def _choose(
        self,
        request: CascadeRequest,
        stage: StageSpec,
        escalation: Escalation,
        tried: Set[str],
    ) -> Choice:
        """An endpoint of the tier whose model has not answered already: a virtual model could
        overflow to one that has."""
        verifiers = self.verifiers
        states = verifiers.endpoints.states()
        if stage.model in VIRTUAL_MODELS:
            rejected = escalation.rejected_models
            states = [s for s in states if next(iter(s.models), None) not in rejected]
        if escalation.made_ids:
            # Only where the same model reads the same ids can another endpoint go on.
            states = [
                state
                for state in states
                if next(iter(state.models), None) == escalation.model
                and state.tokenizer == escalation.tokenizer
            ]
        return verifiers.routing.choose(
            _verification_request(request, stage, escalation),
            states,
            verifiers.clock.now(),
            verifiers.uniform,
            tried,
        )

    async def _completion(
        self, request: CascadeRequest, model: str, escalation: Escalation
    ) -> AsyncGenerator[AnswerPiece]:
        """An ordinary chat completion, without a prediction."""
        logprobs = bool(request.chat.body.logprobs)
        call = EngineCall(
            parent=request.inference,
            part="escalation",
            model=model,
            body=_completion_body(request, escalation),
            demands=request.demands(escalation.deadline_s),
            way="cascade",
        )
        if request.whole:
            reply = await self.calls.whole(call)
            _note(reply, escalation)
            escalation.body = reply.body
            yield piece_of(reply.choices[0], logprobs=logprobs)
            return
        async with aclosing(self.calls.stream(call)) as events:
            async for event in events:
                _note(event, escalation)
                for choice in event.choices:
                    piece = piece_of(choice, logprobs=logprobs)
                    if not piece.empty:
                        # The reader stops at a stop text, before the engine's own count comes.
                        escalation.completion_tokens += piece.tokens
                        yield piece


def _note(reply: EngineReply, escalation: Escalation) -> None:
    """Where an answer, or an event of it, was made, and its tokens as far as it tells them."""
    escalation.model, escalation.tier, escalation.endpoint = reply.model, reply.tier, reply.endpoint
    escalation.prompt_tokens = prompt_tokens(reply.body) or escalation.prompt_tokens
    escalation.prompt = rendered_prompt(reply.body, escalation.prompt)
    escalation.usage_details = usage_details(reply.body, escalation.usage_details)
    counted = completion_tokens(reply.body)
    escalation.completion_tokens = counted or escalation.completion_tokens


def _completion_body(request: CascadeRequest, escalation: Escalation) -> dict[str, Any]:
    body = request.chat_fields(stops=escalation.engine_stops) | request.logprobs_fields()
    body["return_token_ids"] = True
    if request.chat.max_tokens is not None:
        body["max_tokens"] = max(1, request.chat.max_tokens - len(escalation.sent_ids))
    if escalation.sent_text:
        beginning = {"role": "assistant", "content": escalation.sent_text}
        body["messages"] = [*request.messages, beginning]
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    return body


def _can_verify(request: CascadeRequest, escalation: Escalation, choice: Choice) -> bool:
    """Whether the answer can be made out of token ids; `escalation.prediction` says why not."""
    if not request.portable:
        escalation.prediction = "not-portable"
    elif not (escalation.predicted_ids or escalation.sent_ids):
        escalation.prediction = "no-prediction"
    elif escalation.tokenizer is None or choice.state.tokenizer != escalation.tokenizer:
        escalation.prediction = "tokenizer-differs"
    else:
        escalation.prediction = "verified"
    return escalation.prediction == "verified"


def _verification_request(
    request: CascadeRequest, stage: StageSpec, escalation: Escalation
) -> InferenceRequest:
    """For the routing alone: it has no body."""
    chars, key = prompt_chars_and_key({"messages": request.messages})
    return replace(
        request.inference,
        id=f"{request.inference.id}/verification",
        model=stage.model,
        path=COMPLETIONS,
        body=b"",
        stream=True,
        prompt_chars=chars,
        prefix_key=key,
        demands=request.demands(escalation.deadline_s),
    )


def _no_endpoint_above(stage: StageSpec) -> NoEndpoint:
    return NoEndpoint(
        f"no endpoint above the lower tiers can answer for {stage.model} now; see /ready",
        retry_after=2.0,
        code="no_endpoint",
    )
