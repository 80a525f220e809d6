"""Whether work can be given to a device, and the frame that does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from gateway.core.devices.member import Member, WorkOrder
from gateway.core.devices.privacy import answers
from gateway.protocol import speculation as wire
from gateway.protocol import work
from gateway.protocol.fields import Sampling
from gateway.serving.devices.replicas.messages import ENCODE_ERRORS

MAX_ORDER_BYTES = 1 << 18
"""Of one work frame. Several of them must fit into what may wait for a device."""
TEMPLATE_TOKENS = 256
"""That a chat template may add."""


class Unfit(Exception):
    """The work can't be given. `message` goes on after the device's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check(member: Member, order: WorkOrder, in_flight: int) -> None:
    """Raises Unfit for work that the device would not do."""
    if not answers(member, order.owner):
        raise Unfit("private", "does not answer questions of this caller")
    if order.kind not in member.abilities:
        raise Unfit("unable", f"has not offered to {order.kind}")
    if in_flight >= member.max_work:
        raise Unfit("busy", f"has {in_flight} pieces of work already")
    if len(order.messages) > work.MAX_MESSAGES:
        raise Unfit("too_long", f"takes {work.MAX_MESSAGES} messages at most")
    if not order.messages:
        raise Unfit("unable", "was given no message to answer")
    if not order.deadline_s > 0:
        raise Unfit("deadline", "was asked after the deadline")


def in_words(order: WorkOrder) -> WorkOrder:
    """With the role and the text of each message alone: devices understand nothing else, and what
    else callers put there may be nested deeper than can be written. Raises Unfit."""
    return replace(order, messages=[_in_words(message) for message in order.messages])


def put_into_frame(w: int, order: WorkOrder, deadline_s: float) -> tuple[work.Work, int]:
    """The frame and its bytes. Raises Unfit, whatever the caller has put into the order."""
    try:
        frame = work.Work(
            w,
            order.kind,
            list(map(dict, order.messages)),
            msgspec.convert({**order.sampling, "max_tokens": order.max_tokens}, Sampling),
            deadline_s,
        )
        size = len(wire.encode(frame))
    except ENCODE_ERRORS as error:
        raise Unfit("unable", "was asked for what no frame can say") from error
    if size > MAX_ORDER_BYTES:
        raise Unfit("too_long", f"was asked with {size} bytes; {MAX_ORDER_BYTES} go out at most")
    return frame, size


def most_tokens(order: WorkOrder) -> int:
    """That the prompt can have: a token stands for a byte at least."""
    messages = [dict(message) for message in order.messages]
    return len(json.dumps(messages, default=str)) + TEMPLATE_TOKENS


def _in_words(message: Mapping[str, Any]) -> Mapping[str, Any]:
    role, content = message.get("role"), message.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not isinstance(role, str) or not all(isinstance(text, str) for text in texts):
        raise Unfit("unable", "takes messages of text only")
    return {"role": role, "content": "\n".join(map(str, texts))}
