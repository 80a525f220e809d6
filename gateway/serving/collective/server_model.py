"""The server model of a collective: it aggregates answers, gives samples, or answers alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gateway.core.streams.usage import Usage, read_usage
from gateway.core.types import Demands
from gateway.core.upstream_errors import empty_answer, no_text
from gateway.errors import GatewayError
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply


class TextSink(Protocol):
    """The place where a text goes while it is made, such as the reply to the caller."""

    async def text(self, piece: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """One answer of a server model; tokens as the engine counted them."""

    text: str
    model: str
    tier: str
    endpoint: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ServerModel:
    """The calls to server models for text, as whole answers or as streams."""

    def __init__(self, calls: EngineCalls) -> None:
        self._calls = calls

    async def answer(
        self,
        request: CollectiveRequest,
        messages: Sequence[Mapping[str, Any]],
        name: str,
        sink: TextSink | None,
    ) -> ServerAnswer:
        """The aggregator's answer to `messages`; `sink` gets the text as it comes. `name` tells the
        call from others in logs. Raises what `EngineCalls` raises, and EngineFailed for an empty
        answer."""
        call = server_call(request, messages, name)
        if sink is not None and request.inference.stream:
            return await self._streamed(call, sink)
        answer = _not_empty(await self.whole(call))
        if sink is not None:
            await sink.text(answer.text)
        return answer

    async def whole(self, call: EngineCall) -> ServerAnswer:
        """One call's answer, which may be empty. Raises what `EngineCalls.whole` raises, and
        EngineFailed for a reply without a text."""
        reply = await self._calls.whole(call)
        choice = reply.choices[0]
        if choice.message.get("content") is None:
            raise no_text(reply.endpoint)
        return server_answer(reply, choice.text, read_usage(reply.body), choice.finish_reason)

    async def _streamed(self, call: EngineCall, sink: TextSink) -> ServerAnswer:
        """A stream that breaks off after its first text, and that no endpoint with its model goes
        on with, is asked for once more, as a whole. It goes on where it stopped if the new answer
        begins with the text that was sent. Failures before the first text are the business of
        `requests.attempts`."""
        sent = list[str]()
        try:
            return await self._relayed(self._calls.stream(call), sent, sink)
        except GatewayError:
            before = "".join(sent)
            if not before:
                raise
            again = _not_empty(await self.whole(replace(call, part=f"{call.part}-again")))
            if not again.text.startswith(before):
                raise
            await sink.text(again.text[len(before) :])
            # The prompt was read twice. The first try's tokens count too: about one a piece, as a
            # stream that broke off has no usage.
            return replace(
                again,
                prompt_tokens=2 * again.prompt_tokens,
                completion_tokens=again.completion_tokens + len(sent),
            )

    async def _relayed(
        self, events: AsyncGenerator[EngineReply], sent: list[str], sink: TextSink
    ) -> ServerAnswer:
        last: EngineReply | None = None
        usage, finish_reason = None, None
        async with aclosing(events):
            async for event in events:
                last = event
                usage = read_usage(event.body) or usage
                for choice in event.choices:
                    finish_reason = choice.finish_reason or finish_reason
                    if text := choice.text:
                        sent.append(text)
                        await sink.text(text)
        assert last is not None, "EngineCalls raises for a stream without events"
        return _not_empty(server_answer(last, "".join(sent), usage, finish_reason))


def server_call(
    request: CollectiveRequest, messages: Sequence[Mapping[str, Any]], name: str
) -> EngineCall:
    """A call to the aggregator, within what the caller demands of tiers and models."""
    demands = request.inference.demands
    return EngineCall(
        parent=request.inference,
        part=name,
        model=request.options.aggregator,
        body={**request.body, "messages": list(messages)},
        demands=Demands(max_tier=demands.max_tier, min_quality=demands.min_quality),
        way="collective",
    )


def server_answer(
    reply: EngineReply,
    text: str,
    usage: Usage | None,
    finish_reason: str | None = None,
) -> ServerAnswer:
    """`text` with what the engine's reply says of its making."""
    return ServerAnswer(
        text=text,
        model=reply.model,
        tier=reply.tier,
        endpoint=reply.endpoint,
        finish_reason=finish_reason or "stop",
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
    )


def _not_empty(answer: ServerAnswer) -> ServerAnswer:
    if not answer.text.strip():
        raise empty_answer(answer.endpoint)
    return answer
