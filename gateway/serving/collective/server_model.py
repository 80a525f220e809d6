"""A server model says something, whole or as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.types import Demands
from gateway.errors import EngineFailed, GatewayError
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.collective.proposals import message_text
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply

Emit = Callable[[str], Awaitable[None]]
"""Takes the next text for the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """Tokens as the engine counted them."""

    text: str
    model: str
    tier: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ServerModel:
    def __init__(self, calls: EngineCalls) -> None:
        self._calls = calls

    async def speak(
        self,
        asked: CollectiveRequest,
        messages: Sequence[Mapping[str, Any]],
        name: str,
        emit: Emit | None,
    ) -> ServerAnswer:
        """Raises what `EngineCalls` raises, and EngineFailed for an empty answer."""
        call = server_call(asked, messages, name)
        if emit is None or not asked.request.stream:
            spoken = await self._whole(call)
            if emit is not None:
                await emit(spoken.text)
            return spoken
        return await self._streamed(call, emit)

    async def _whole(self, call: EngineCall) -> ServerAnswer:
        answered = await self._calls.whole(call)
        text = message_text(answered.body, answered.endpoint)
        if not text.strip():
            raise _nothing(answered)
        return _spoken(text, answered, answered.body.get("usage"), answered.body)

    async def _streamed(self, call: EngineCall, emit: Emit) -> ServerAnswer:
        """A stream that breaks off after its first text is asked for once more, as a whole, and
        goes on where it was if the model says the same up to there. Failures before the first
        text are the business of `requests.attempts`."""
        said = list[str]()
        try:
            return await self._relayed(self._calls.stream(call), said, emit)
        except GatewayError:
            before = "".join(said)
            if not before:
                raise
            again = await self._whole(replace(call, part=f"{call.part}-again"))
            if not again.text.startswith(before):
                raise
            await emit(again.text[len(before) :])
            # The prompt was read twice, and what came of the first try was said: about a token a
            # piece, as there is no count of a stream that broke off.
            return replace(
                again,
                prompt_tokens=2 * again.prompt_tokens,
                completion_tokens=again.completion_tokens + len(said),
            )

    async def _relayed(
        self, events: AsyncGenerator[EngineReply], said: list[str], emit: Emit
    ) -> ServerAnswer:
        last: EngineReply | None = None
        usage, reason = None, "stop"
        async with aclosing(events):
            async for event in events:
                last = event
                usage = event.body.get("usage") or usage
                for choice in event.body.get("choices") or ():
                    reason = choice.get("finish_reason") or reason
                    if text := (choice.get("delta") or {}).get("content"):
                        said.append(text)
                        await emit(text)
        text = "".join(said)
        assert last is not None, "ServerCalls raises for a stream without events"
        if not text.strip():
            raise _nothing(last)
        return _spoken(text, last, usage, {"choices": [{"finish_reason": reason}]})


def server_call(
    asked: CollectiveRequest, messages: Sequence[Mapping[str, Any]], name: str
) -> EngineCall:
    """To the aggregator, within what the caller demands of tiers and models."""
    demands = asked.request.demands
    return EngineCall(
        parent=asked.request,
        part=name,
        model=asked.options.aggregator,
        body={**asked.body, "messages": list(messages)},
        demands=Demands(max_tier=demands.max_tier, min_quality=demands.min_quality),
    )


def _spoken(
    text: str, by: EngineReply, usage: Mapping[str, Any] | None, body: Mapping[str, Any]
) -> ServerAnswer:
    usage = usage or {}
    return ServerAnswer(
        text=text,
        model=by.model,
        tier=by.tier,
        finish_reason=body["choices"][0].get("finish_reason") or "stop",
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
    )


def _nothing(answered: EngineReply) -> EngineFailed:
    return EngineFailed(
        f"{answered.endpoint} said nothing", endpoint=answered.endpoint, code="empty_answer"
    )
