"""Where and with what a stream goes on whose engine broke."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, EndpointSource
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.speculation.job import moved_seed
from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.continuation import SentAnswer, SentPart
from gateway.core.streams.stop_texts import StopScanner
from gateway.core.streams.usage import UsageDetails
from gateway.core.types import Demands, EndpointState, InferenceRequest
from gateway.core.upstream_errors import engine_failed
from gateway.errors import EngineFailed, GatewayError, NoEndpoint, Overloaded, UpstreamError
from gateway.protocol.backoff import pause_s
from gateway.protocol.paths import COMPLETIONS, DETOKENIZE
from gateway.serving.continuation.continued_answer import ContinuedAnswer
from gateway.serving.continuation.stream_events import ContinuedEvents, StreamShape
from gateway.serving.requests.dispatch import Dispatch, OpenAnswer
from gateway.serving.requests.progress_timeout import ProgressTimeout
from gateway.serving.requests.stream_rest import StreamRest

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
"""Between the tries of a stream that nobody goes on with: the engines may be well again without
having been down."""
_COMPLETION_MAX_TOKENS = 16
"""What an engine gives a completion that sets no bound."""
_PARTIAL = "\ufffd"
_LETTER_BYTES = 4
_SET_HERE = frozenset(
    {
        "messages", "model", "prompt", "stream", "stop", "n", "max_tokens",
        "max_completion_tokens", "min_tokens", "logprobs", "top_logprobs", "return_token_ids",
        "tools", "tool_choice", "parallel_tool_calls", "response_format", "chat_template",
        "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "documents",
        "add_special_tokens", "reasoning_effort", "include_reasoning", "tierflow", "prediction",
    }
)  # fmt: skip
"""Fields that a continuation sets itself, or that shaped a prompt whose token ids are known now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """The continuation of streams. `family` lists models, smallest first.

    `patience_s`: seconds that a stream waits for an endpoint to go on at. `uniform` gives random
    numbers in [0, 1).
    """

    dispatch: Dispatch
    endpoints: EndpointSource
    clock: Clock
    family: Sequence[str]
    patience_s: float
    uniform: Callable[[], float]

    async def resume(
        self,
        *,
        request: InferenceRequest,
        headers: Mapping[str, str],
        outcome: Outcome,
        sent: SentAnswer,
        broken: EndpointState,
    ) -> StreamRest | None:
        """The rest of the stream that `broken` was writing; None where nobody can go on with it.

        Raises what `Dispatch.open` raises when no endpoint goes on.
        """
        part, terms = sent.read(), request.continuation
        if part is None or terms is None:
            return None
        fields, began = orjson.loads(request.body), outcome.model
        shape = StreamShape.of(request.path, fields)

        def details() -> Mapping[str, int]:
            # At the end: the engine that broke is counted as soon as it has been left.
            return outcome.prediction_details

        if part.finished:
            return StreamRest(ending=_events(part, shape, details).end(counted=part.counted))
        if fields.get("min_tokens") and shape.stops:
            return None
        bound, owed = _bound(request.path, fields), ""
        if shape.stops:
            text = await self._text_sent(request, headers, began, part, broken)
            if text is None or part.text is None or not text.startswith(part.text):
                return None
            owed = text[len(part.text) :]
        if bound is not None and bound <= len(part.ids):
            return StreamRest(ending=_cut(_events(part, shape, details), owed))
        rests = [
            _rest(request, fields, part, model, self._room(model, part, bound))
            for model in self._models(request, began, broken)
        ]
        opened = await self._open(rests, headers, outcome, broken.endpoint.id)
        if not terms.shows_ids:
            sent.rewind(part.ids, part.repeated)
        events = _events(part, shape, details, None if outcome.model == began else outcome.model)
        events.offset += len(owed)
        return StreamRest(opened=_continued(opened, request, events, owed, part.repeated))

    def _models(
        self, request: InferenceRequest, model: str, broken: EndpointState
    ) -> Sequence[str]:
        """The model that began; where the caller named none, others of its family after it, the
        largest first, as far as they read the same token ids."""
        if request.model not in VIRTUAL_MODELS or broken.tokenizer is None:
            return [model]
        served = {
            name
            for state in self.endpoints.states()
            if state.tokenizer == broken.tokenizer
            for name in state.models
        }
        others = [name for name in reversed(self.family) if name in served and name != model]
        return [model, *others]

    def _room(self, model: str, part: SentPart, bound: int | None) -> int | None:
        """How many more tokens the answer may have there, None: the engine's own bound holds."""
        lengths = [
            state.models[model].max_model_len
            for state in self.endpoints.states()
            if model in state.models
        ]
        rooms = [length - len(part.prompt_ids) for length in lengths if length is not None]
        if bound is not None:
            rooms.append(bound)
        return max(1, min(rooms) - len(part.ids)) if rooms else None

    async def _open(
        self,
        requests: Sequence[InferenceRequest],
        headers: Mapping[str, str],
        outcome: Outcome,
        broken: str,
    ) -> OpenAnswer:
        """The first of these that an endpoint answers: at once elsewhere, else where `broken` was
        as well, else as soon as one does within the patience."""
        end, avoid = self.clock.now() + self.patience_s, frozenset({broken})
        rounds = 0
        while True:
            failure: GatewayError | None = None
            for request in requests:
                timeout = ProgressTimeout(self.clock.now)
                try:
                    return await self.dispatch.open(request, headers, outcome, timeout, avoid)
                except (NoEndpoint, Overloaded, UpstreamError) as error:
                    failure = failure or error
            assert failure is not None
            if avoid:
                avoid = frozenset()
                continue
            rounds += 1
            left_s = end - self.clock.now()
            if left_s <= 0:
                raise failure
            pause = pause_s(
                rounds, self.uniform(), first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S
            )
            await self._endpoint_came_up(requests, min(pause, left_s))

    async def _endpoint_came_up(self, requests: Sequence[InferenceRequest], seconds: float) -> None:
        """Until an endpoint comes up or has a free place, but no longer than these seconds."""
        names = {request.model for request in requests}

        def is_usable(state: EndpointState) -> bool:
            return state.healthy and (not names.isdisjoint(state.models))

        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.endpoints.wait_for_slot(is_usable)

    async def _text_sent(
        self,
        request: InferenceRequest,
        headers: Mapping[str, str],
        model: str,
        part: SentPart,
        broken: EndpointState,
    ) -> str | None:
        """The text of the tokens sent. More than the text that was sent: engines hold back what may
        become a stop text. Where the last tokens are a part of a letter only, they are made once
        more. None: they are no text."""
        for _ in range(_LETTER_BYTES):
            text = await self._text(request, headers, model, part.ids, broken)
            if not text.endswith(_PARTIAL):
                return text
            part.repeated.insert(0, part.ids.pop())
        return None

    async def _text(
        self,
        request: InferenceRequest,
        headers: Mapping[str, str],
        model: str,
        ids: Sequence[int],
        broken: EndpointState,
    ) -> str:
        if not ids:
            return ""
        asked = replace(
            request,
            path=DETOKENIZE,
            model=model,
            body=orjson.dumps({"model": model, "tokens": ids}),
            stream=False,
            continuation=None,
            demands=Demands(),
        )
        opened = await self._open([asked], headers, Outcome(request=asked), broken.endpoint.id)
        try:
            return str(orjson.loads(opened.first)["prompt"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise engine_failed(opened.state.endpoint.id, "gave no text for token ids") from error
        finally:
            opened.release()


def _continued(
    opened: OpenAnswer,
    request: InferenceRequest,
    events: ContinuedEvents,
    owed: str,
    repeated: Sequence[int],
) -> OpenAnswer:
    """The same answer, in the shape of the caller's stream. Raises EngineFailed."""
    endpoint = opened.state.endpoint.id
    try:
        if opened.stream is None:
            raise engine_failed(endpoint, "sent no stream to go on with")
        answer = ContinuedAnswer(
            answer=opened.answer,
            stream=opened.stream,
            endpoint=endpoint,
            events=events,
            owed=owed,
            repeated=repeated,
            shows_ids=request.continuation is not None and request.continuation.shows_ids,
        )
        stream = AnswerStream(request.path, endpoint)
        first = stream.feed(answer.write(opened.first))
    except EngineFailed:
        opened.release()
        raise
    return replace(opened, answer=answer, stream=stream, first=first)


def _events(
    part: SentPart, shape: StreamShape, details: UsageDetails, model: str | None = None
) -> ContinuedEvents:
    """`model` where another one goes on than began."""
    return ContinuedEvents(
        head=part.head if model is None else replace(part.head, model=model),
        shape=shape,
        prompt_tokens=len(part.prompt_ids),
        tokens=len(part.ids),
        offset=len(part.text or ""),
        usage_details=details,
    )


def _cut(events: ContinuedEvents, owed: str) -> bytes:
    """The end of a stream that has had all the tokens that it may have, and not all their text."""
    stops = StopScanner(stops=events.shape.stops, include=events.shape.include_stop)
    text = stops.feed(owed) + stops.rest()
    reason = "length" if stops.stopped is None else "stop"
    last = events.choice(text, ids=[], reason=reason, stop_reason=stops.stopped)
    return last + events.end(counted=False)


def _begun(demands: Demands) -> Demands:
    """The deadline was for the answer's beginning."""
    return replace(demands, deadline_s=None)


def _bound(path: str, fields: Mapping[str, Any]) -> int | None:
    """The caller's own bound on the answer's tokens."""
    if path == COMPLETIONS:
        bound = fields.get("max_tokens", _COMPLETION_MAX_TOKENS)
        return int(bound) if bound is not None else None
    bound = fields.get("max_completion_tokens")
    bound = fields.get("max_tokens") if bound is None else bound
    return int(bound) if bound is not None else None


def _rest(
    request: InferenceRequest,
    fields: Mapping[str, Any],
    part: SentPart,
    model: str,
    max_tokens: int | None,
) -> InferenceRequest:
    """The completion that goes on from what was sent."""
    body = {name: value for name, value in fields.items() if name not in _SET_HERE}
    body |= {"model": model, "prompt": [*part.prompt_ids, *part.ids], "stream": True}
    body["return_token_ids"] = True
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if isinstance(seed := fields.get("seed"), int):
        # Its first random numbers have chosen what was sent, and would favour that again.
        body["seed"] = moved_seed(seed, len(part.ids))
    if least := int(fields.get("min_tokens") or 0) - len(part.ids):
        body["min_tokens"] = max(0, least)
    if request.path == COMPLETIONS:
        body["logprobs"] = fields.get("logprobs")
    elif fields.get("logprobs"):
        body["logprobs"] = fields.get("top_logprobs") or 0
    return replace(
        request,
        path=COMPLETIONS,
        model=model,
        body=orjson.dumps(body),
        max_tokens=max_tokens,
        model_in_body=True,
        demands=_begun(request.demands),
        continuation=None,
    )
