"""Calls that the gateway itself makes to its engines, on behalf of one request of a caller's.

They are routed, retried, measured and logged like any other request, under the caller's id with
a part behind it (`<id>/aggregate`), but counted apart from callers', and stand in no queue: the
caller's request has been admitted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from gateway.core.bodies.body import prompt_chars_and_key
from gateway.core.endpoints.endpoint_rates import learn
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, Telemetry
from gateway.core.streams.chat_answer import ChatChoice, read_choices
from gateway.core.streams.continuation import SentAnswer, continuation_terms
from gateway.core.streams.protocols import answer_count, several_texts
from gateway.core.streams.sse import answer_object, objects
from gateway.core.streams.usage import read_usage
from gateway.core.types import Demands, InferenceRequest
from gateway.core.upstream_errors import idle_timeout, served_nowhere
from gateway.errors import UpstreamError
from gateway.protocol.headers import REQUEST_ID
from gateway.protocol.paths import CHAT
from gateway.serving.requests.dispatch import Dispatch, OpenAnswer, ParsedAnswer
from gateway.serving.requests.lifecycle import Lifecycle
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout
from gateway.serving.requests.refusals import refused
from gateway.serving.requests.resumptions import Resumptions
from gateway.serving.requests.stream_rest import StreamContinuation, StreamRest, rest_of_stream


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCall:
    """One request of the gateway's own to an engine.

    `parent` is the caller's request that it serves, `part` tells it from others of the same parent
    in logs. `body` is an OpenAI body without `model` and `stream`; `model` may be virtual. The
    parent's demands don't hold for it, only `demands` does. A stream whose engine breaks goes on at
    another one with the same model, where `way` names the way of answering for which that is
    counted; "": it breaks. `waits`: also where an endpoint has to come up first.
    """

    parent: InferenceRequest
    part: str
    model: str
    body: Mapping[str, Any]
    path: str = CHAT
    demands: Demands = Demands()
    way: str = ""
    waits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReply:
    """An engine's answer, or one event of it: the parsed body, what of it has been checked (a
    chat's `choices`), and where it was made."""

    body: Mapping[str, Any]
    choices: Sequence[ChatChoice] = ()
    model: str
    tier: str
    endpoint: str


class EngineCalls:
    """Makes calls to engines, and gives their answers parsed: as a whole or event by event."""

    def __init__(
        self,
        *,
        dispatch: Dispatch,
        clock: Clock,
        telemetry: Telemetry,
        timeouts: AnswerTimeouts,
        continuation: StreamContinuation | None,
        immediate_continuation: StreamContinuation | None,
    ) -> None:
        """`continuation` may wait for an endpoint that goes on with a stream,
        `immediate_continuation` does not; None: streams don't go on."""
        self._dispatch = dispatch
        self._continuation = continuation
        self._immediate_continuation = immediate_continuation
        self._clock = clock
        self._telemetry = telemetry
        self._timeouts = timeouts

    async def whole(self, call: EngineCall) -> EngineReply:
        """The answer in one piece. Cancelling this makes the engine give up its work.

        Raises what `Dispatch.open` raises, InvalidRequest when the engine refuses the body, and
        EngineFailed when its answer can't be read.
        """
        async with self._open(call, stream=False) as (opened, outcome):
            return _whole_reply(opened, outcome)

    async def stream(self, call: EngineCall) -> AsyncGenerator[EngineReply]:
        """The events of a stream as they come; the last one has the usage. `aclose` makes the
        engine give up its work.

        Raises as `whole` does, and EngineFailed or IdleTimeout when the stream breaks.
        """
        body = {**call.body, "stream_options": {"include_usage": True}}
        async with self._open(replace(call, body=body), stream=True) as (opened, outcome):
            terms = outcome.request.continuation
            sent = SentAnswer(terms) if terms is not None else None
            try:
                with Resumptions(call.way, self._telemetry) as resumptions:
                    while True:
                        try:
                            async with aclosing(self._replies(opened, outcome, sent)) as replies:
                                async for reply in replies:
                                    yield reply
                            return
                        except UpstreamError as error:
                            opened.slot.broke(error)
                            opened.release()
                            rest = await self._rest(
                                call, opened, outcome, sent, error=error, resumptions=resumptions
                            )
                        if rest.opened is None:
                            for reply in _event_replies(rest.ending, outcome):
                                yield reply
                            return
                        opened = rest.opened
            finally:
                opened.release()

    async def _rest(
        self,
        call: EngineCall,
        broken: OpenAnswer,
        outcome: Outcome,
        sent: SentAnswer | None,
        *,
        error: UpstreamError,
        resumptions: Resumptions,
    ) -> StreamRest:
        """What goes on with a stream. Raises the error where nothing does; where the call does not
        wait, another part of the request's goes on then, so nothing counts as failed."""
        if call.way and call.waits:
            resumptions.broke(error.code)
        rest = await rest_of_stream(
            self._continuation if call.waits else self._immediate_continuation,
            # No other model's answer is wanted for this part.
            request=replace(outcome.request, model=outcome.model),
            headers=_headers(outcome.request),
            outcome=outcome,
            sent=sent,
            broken=broken.state,
            error=error,
        )
        resumptions.broke(error.code)
        resumptions.went_on()
        return rest

    async def _replies(
        self, opened: OpenAnswer, outcome: Outcome, sent: SentAnswer | None
    ) -> AsyncGenerator[EngineReply]:
        """The events of one engine's stream; `sent` notes them. Raises UpstreamError."""
        stream, events = opened.stream, opened.first
        if stream is None:
            # Not what was asked for, but an answer.
            yield _whole_reply(opened, outcome)
            return
        idle_s, endpoint = self._timeouts.idle_s, outcome.endpoint
        with ProgressTimeout(self._clock.now) as timeout:
            while True:
                if stream.progressed:
                    outcome.last_byte = opened.state.answered_at = self._clock.now()
                if sent is not None:
                    events = sent.note(events)
                for reply in _event_replies(events, outcome):
                    # While the reader of the events is busy, the engine's time does not count.
                    timeout.extend(float("inf"))
                    yield reply
                if stream.over:
                    break
                if stream.progressed:
                    timeout.expect(idle_s, partial(idle_timeout, endpoint, idle_s))
                chunk = await opened.answer.read()
                events = stream.feed(chunk) if chunk else stream.finish()
        stream.finish()
        opened.answer.drain()

    @asynccontextmanager
    async def _open(
        self, call: EngineCall, *, stream: bool
    ) -> AsyncGenerator[tuple[OpenAnswer, Outcome]]:
        request = _request(call, self._clock.now(), stream=stream)
        if self._continuation is None:
            request = replace(request, continuation=None)
        outcome, headers = Outcome(request=request), _headers(request)
        with Lifecycle(outcome, self._clock, self._telemetry.finished):
            opened = await self._dispatch.open(
                request, headers, outcome, ProgressTimeout(self._clock.now), check=_check_first
            )
            try:
                outcome.status = opened.answer.status
                outcome.first_byte = outcome.last_byte = self._clock.now()
                if opened.no_route:
                    raise served_nowhere(outcome.endpoint, call.path)
                if outcome.status >= 400:
                    raise refused(outcome.model, outcome.status, opened.first)
                try:
                    yield opened, outcome
                except UpstreamError as error:
                    if not opened.slot.released:
                        opened.slot.broke(error)
                    raise
                if not outcome.resumptions:
                    learn(opened.state, outcome, self._clock.now())
            finally:
                opened.release()


def _request(call: EngineCall, now: float, *, stream: bool) -> InferenceRequest:
    body = {**call.body, "model": call.model, "stream": stream}
    chars, key = prompt_chars_and_key(body, call.path)
    max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
    return InferenceRequest(
        id=f"{call.parent.id}/{call.part}",
        path=call.path,
        model=call.model,
        body=orjson.dumps(body),
        received=now,
        stream=stream,
        prompt_chars=chars,
        prefix_key=key,
        max_tokens=max_tokens if isinstance(max_tokens, int) else None,
        demands=call.demands,
        privacy=call.parent.privacy,
        caller=call.parent.caller,
        parent=call.parent.id,
        continuation=continuation_terms(call.path, body, chars) if call.way else None,
        several=several_texts(call.path, body),
        answers=answer_count(call.path, body),
    )


def _headers(request: InferenceRequest) -> Mapping[str, str]:
    return {"content-type": "application/json", REQUEST_ID: request.id}


def _check_first(path: str, opened: OpenAnswer) -> None:
    """Read a whole answer, or the first events of a stream. Raises EngineFailed for what can't be
    read, while another endpoint may be asked."""
    endpoint = opened.state.endpoint.id
    if opened.stream is None:
        body = answer_object(opened.first, endpoint)
        choices = read_choices(body, endpoint, whole=True) if path == CHAT else ()
        opened.parsed = ParsedAnswer(body, choices)
        return
    for event in objects(opened.first, endpoint):
        read_choices(event, endpoint, whole=False)


def _whole_reply(opened: OpenAnswer, outcome: Outcome) -> EngineReply:
    assert opened.parsed is not None, "a whole answer has been checked"
    body, choices = opened.parsed
    outcome.note_usage(read_usage(body))
    return _reply(outcome, body, choices)


def _event_replies(events: bytes, outcome: Outcome) -> Iterator[EngineReply]:
    """Of whole events, whose tokens are counted until the engine's own count comes."""
    for event in objects(events, outcome.endpoint):
        choices = read_choices(event, outcome.endpoint, whole=False)
        usage = read_usage(event)
        outcome.note_usage(usage)
        if choices and usage is None:
            outcome.completion_tokens += 1
        yield _reply(outcome, event, choices)


def _reply(outcome: Outcome, body: Mapping[str, Any], choices: Sequence[ChatChoice]) -> EngineReply:
    return EngineReply(
        body=body,
        choices=choices,
        model=outcome.model,
        tier=outcome.tier,
        endpoint=outcome.endpoint,
    )
