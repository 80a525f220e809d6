"""Work of one connected device: whether it can be given, its frames, and the budget of each answer.

The gateway numbers the work of a connection from 1 on. A number gets `piece`s and one `finished`,
or one `refused`. After `recall` nothing more needs to come, and what was under way is tolerated.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from gateway.core.bounded_dict import BoundedDict
from gateway.core.devices.member import Member, WorkEnd, WorkOrder, answers
from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from gateway.protocol.requests.sampling import Sampling
from gateway.serving.chat.messages import text_of
from gateway.serving.devices.outbox import Outbox
from gateway.serving.devices.replicas.messages import ENCODE_ERRORS
from gateway.serving.devices.work_answer import WorkAnswer, failed

MAX_ORDER_BYTES = 1 << 18
"""Of one work frame. Several of them must fit into what may wait for a device."""
TEMPLATE_TOKENS = 256
"""That a chat template may add."""
BYTES_PER_TOKEN = 256
LEAST_ANSWER_BYTES = 1024
SPARE_TOKENS = 1
"""Beyond the budget: some runtimes count the end of the answer as a token."""
PIECE_BYTES = 16
"""That a piece counts as at least: empty ones cost work, too."""
LATE_BYTES = 1 << 20
"""Of frames for work that the gateway ended: they may have been under way."""
MAX_ID_CHARS = 256
MAX_ENDED = 1024
"""Numbers of ended work that are remembered."""


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """Limits per device: work at once, seconds for one, bytes of text in one answer."""

    max_work: int
    max_work_s: float
    max_answer_bytes: int


class Unfit(Exception):
    """An order that can't be given to a device. `message` goes on after the device's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ProtocolViolation(Exception):
    """A frame that no well-behaved device sends."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True, kw_only=True)
class _Active:
    """Work under way, with what is left of its budget."""

    order: WorkOrder
    answer: WorkAnswer
    bytes_left: int
    tokens_left: int


class WorkTable:
    """The work that one connected device has been given, by its number.

    `refusals` counts what the device has refused, by code; `finished` what it has completed. All
    methods that handle a frame raise ProtocolViolation; `size` is the frame's bytes.
    """

    def __init__(self, device: str, limits: WorkLimits, outbox: Outbox) -> None:
        self._device = device
        self._limits = limits
        self._outbox = outbox
        self._active: dict[int, _Active] = {}
        self._ended = BoundedDict[int, int](MAX_ENDED)
        self._next = 1
        self.refusals: Counter[str] = Counter()
        self.finished = 0

    @property
    def in_flight(self) -> int:
        return len(self._active)

    def assign(self, member: Member, order: WorkOrder) -> WorkAnswer:
        """Send the order to the device. Never waits: what the device can't do fails at once."""
        deadline_s = min(order.deadline_s, self._limits.max_work_s)
        try:
            check(member, order, len(self._active))
            order = as_text(order)
            frame, size = work_frame(self._next, order, deadline_s)
        except Unfit as unfit:
            return failed(self._device, unfit.code, f"{self._device} {unfit.message}")
        if not self._outbox.has_room(size):
            return failed(self._device, "busy", f"too much waits for {self._device} already")
        return self._begin(frame, order, deadline_s)

    def add_piece(self, frame: work.Piece, size: int) -> None:
        if (active := self._find(frame.w, size)) is None:
            return
        active.bytes_left -= max(PIECE_BYTES, len(frame.text.encode(errors="replace")))
        active.tokens_left -= frame.n
        if active.bytes_left < 0 or active.tokens_left < 0:
            self._misbehaved(frame.w, active, "answer_too_long")
        active.answer.add_piece(frame.text, frame.n)

    def finish(self, frame: work.Finished, size: int) -> None:
        if (active := self._find(frame.w, size)) is None:
            return
        if frame.completion_tokens > active.order.max_tokens + SPARE_TOKENS:
            self._misbehaved(frame.w, active, "answer_too_long")
        self._end(frame.w, tolerated=0)
        if frame.reason not in ("stop", "length"):
            active.answer.fail("unable", f"{self._device} gave the work up")
            return
        self.finished += 1
        logprob = frame.logprob
        active.answer.finish(
            WorkEnd(
                reason=frame.reason,
                # A token is a byte at least, and a chat template adds a few.
                prompt_tokens=min(frame.prompt_tokens, max_prompt_tokens(active.order)),
                completion_tokens=frame.completion_tokens,
                logprob=logprob if logprob is not None and math.isfinite(logprob) else None,
            )
        )

    def refuse(self, frame: work.Refused, size: int) -> None:
        """The device's own message goes no further: it might quote the question."""
        if (active := self._find(frame.w, size)) is None:
            return
        self._end(frame.w, tolerated=0)
        self.refusals[frame.code] += 1
        active.answer.fail(
            frame.code, f"{self._device} refused the work: {frame.code}", frame.retry_s
        )

    def fail_all(self, message: str) -> None:
        """The connection is over: all work fails at once."""
        all_active, self._active = self._active, {}
        for active in all_active.values():
            active.answer.fail("lost", message)

    def _begin(self, frame: work.Work, order: WorkOrder, deadline_s: float) -> WorkAnswer:
        w, self._next = frame.w, self._next + 1
        max_bytes = min(
            self._limits.max_answer_bytes, LEAST_ANSWER_BYTES + BYTES_PER_TOKEN * order.max_tokens
        )
        answer = WorkAnswer(self._device, deadline_s)
        self._active[w] = _Active(
            order=order,
            answer=answer,
            bytes_left=max_bytes,
            tokens_left=order.max_tokens + SPARE_TOKENS,
        )
        self._outbox.put(frame)
        answer.when_over(lambda _: self._recall(w))
        return answer

    def _recall(self, w: int) -> None:
        """Unless it was the device that ended it."""
        if w in self._active:
            self._end(w, tolerated=LATE_BYTES)
            self._outbox.put(work.Recall(w))

    def _misbehaved(self, w: int, active: _Active, code: str) -> None:
        active.answer.fail("misbehaved", f"{self._device} sent more than it was asked for")
        raise ProtocolViolation(
            code, f"w: {w} has more text or tokens than its budget; it is cut off"
        )

    def _end(self, w: int, *, tolerated: int) -> None:
        """`tolerated`: bytes of frames about it that may still come."""
        del self._active[w]
        self._ended[w] = tolerated

    def _find(self, w: int, size: int) -> _Active | None:
        """None for a frame that may have been under way when the gateway ended its work."""
        if (active := self._active.get(w)) is not None:
            return active
        if not 0 < w < self._next:
            raise ProtocolViolation("unknown_work", f"w: there is no work {w}")
        tolerated = self._ended.get(w, 0) - size
        if tolerated < 0:
            raise ProtocolViolation("work_over", f"w: {w} is over")
        self._ended[w] = tolerated
        return None


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


def as_text(order: WorkOrder) -> WorkOrder:
    """The order with the role and the text of each message alone. Devices understand nothing else,
    and other fields of callers may be nested deeper than can be encoded. Raises Unfit."""
    return replace(order, messages=[_text_message(message) for message in order.messages])


def work_frame(w: int, order: WorkOrder, deadline_s: float) -> tuple[work.Work, int]:
    """The frame and its bytes. Raises Unfit, whatever the caller has put into the order."""
    try:
        frame = work.Work(
            w=w,
            kind=order.kind,
            messages=list(map(dict, order.messages)),
            sampling=msgspec.convert({**order.sampling, "max_tokens": order.max_tokens}, Sampling),
            deadline_s=deadline_s,
            id=order.id[:MAX_ID_CHARS],
        )
        size = len(wire.encode(frame))
    except ENCODE_ERRORS as error:
        raise Unfit("unable", "was asked for something that no frame can carry") from error
    if size > MAX_ORDER_BYTES:
        raise Unfit(
            "too_long", f"takes an order of {MAX_ORDER_BYTES} bytes at most; this one has {size}"
        )
    return frame, size


def max_prompt_tokens(order: WorkOrder) -> int:
    """The most tokens that the prompt can have: a token stands for a byte at least."""
    messages = [dict(message) for message in order.messages]
    return len(json.dumps(messages, default=str)) + TEMPLATE_TOKENS


def _text_message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    role, content = message.get("role"), message.get("content")
    text = text_of(content)
    if not isinstance(role, str) or text is None:
        raise Unfit("unable", "takes messages of text only")
    return {"role": role, "content": text}
