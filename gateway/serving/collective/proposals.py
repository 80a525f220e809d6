"""Who can be asked: a device through its connection, or a server model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.devices.member import MemberFailed, WorkEnd, WorkOrder
from gateway.core.ports import Members
from gateway.errors import EngineFailed
from gateway.serving.collective.round import Heard, Proposal
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls

PROMPT_SLACK = 256
"""Tokens that a chat template and a system prompt may add to one per character."""


async def ask_device(
    members: Members, device: str, order: WorkOrder, max_chars: int, heard: Heard | None = None
) -> Proposal:
    """Raises MemberFailed, also for a device that says more than it may. `heard` counts the tokens
    as they arrive.

    Cancelled, or with an error, the device is told to stop.
    """
    work = members.assign(device, order)
    pieces, chars = list[str](), 0
    try:
        while not isinstance(found := await work.read(), WorkEnd):
            chars += len(found.text)
            if heard is not None:
                heard.tokens = min(heard.tokens + max(0, found.tokens), order.max_tokens)
            if chars > max_chars:
                raise MemberFailed(
                    device=device,
                    code="misbehaved",
                    message=f"{device} said more than {max_chars} characters",
                )
            pieces.append(found.text)
    except BaseException:
        work.cancel()
        raise
    if found.reason not in ("stop", "length"):
        raise MemberFailed(device=device, code="broken", message=f"{device} ended its answer early")
    # What a device says of itself may be anything; what it can't have done is not believed.
    asked = sum(len(str(message.get("content"))) for message in order.messages) + PROMPT_SLACK
    prompt = min(max(0, found.prompt_tokens), asked)
    tokens = min(max(0, found.completion_tokens), order.max_tokens)
    return Proposal(
        text="".join(pieces), prompt_tokens=prompt, completion_tokens=tokens, logprob=found.logprob
    )


async def ask_server(calls: EngineCalls, call: EngineCall) -> Proposal:
    """Raises what `EngineCalls.whole` raises."""
    answered = await calls.whole(call)
    usage = answered.body.get("usage") or {}
    return Proposal(
        text=message_text(answered.body, answered.endpoint),
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
        tier=answered.tier,
    )


def message_text(body: Mapping[str, Any], endpoint: str) -> str:
    """Of a whole chat completion. Raises EngineFailed when there is none."""
    try:
        content = body["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        content = None
    if not isinstance(content, str):
        raise EngineFailed(f"{endpoint} sent no text", endpoint=endpoint, code="engine_error")
    return content
