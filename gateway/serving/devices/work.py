"""The work that one connected device has been given, by number."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass

from gateway.core.devices.member import Member, WorkEnd, WorkOrder
from gateway.protocol import work
from gateway.serving.devices.outbox import Outbox
from gateway.serving.devices.work_answer import WorkAnswer, failed
from gateway.serving.devices.work_orders import Unfit, check, in_words, most_tokens, put_into_frame

BYTES_PER_TOKEN = 256
LEAST_ANSWER_BYTES = 1024
SPARE_TOKENS = 1
"""Beyond the budget: some runtimes count the end of the answer as a token."""
PIECE_BYTES = 16
"""That a piece counts as at least: empty ones cost work, too."""
LATE_BYTES = 1 << 20
"""Of frames for work that the gateway ended: they may have been under way."""
REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """Per device: work at once, seconds for one, bytes of text in one answer."""

    max_work: int = 8
    max_work_s: float = 600.0
    max_answer_bytes: int = 1 << 18


class ProtocolViolation(Exception):
    """A frame that no well-behaved device sends."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True, kw_only=True)
class _Active:
    order: WorkOrder
    answer: WorkAnswer
    bytes_left: int
    tokens_left: int


class WorkTable:
    """`refusals` counts what the device has refused, `finished` what it has completed."""

    def __init__(self, device: str, limits: WorkLimits, outbox: Outbox) -> None:
        self._device = device
        self._limits = limits
        self._outbox = outbox
        self._active: dict[int, _Active] = {}
        self._ended: OrderedDict[int, int] = OrderedDict()
        self._next = 1
        self.refusals: Counter[str] = Counter()
        self.finished = 0

    @property
    def in_flight(self) -> int:
        return len(self._active)

    def assign(self, member: Member, order: WorkOrder) -> WorkAnswer:
        """Never waits. What can't be, fails at once."""
        deadline_s = min(order.deadline_s, self._limits.max_work_s)
        try:
            check(member, order, len(self._active))
            order = in_words(order)
            frame, size = put_into_frame(self._next, order, deadline_s)
        except Unfit as unfit:
            return failed(self._device, unfit.code, f"{self._device} {unfit.message}")
        if not self._outbox.has_room(size):
            return failed(self._device, "busy", f"too much waits for {self._device} already")
        return self._begin(frame, order, deadline_s)

    def piece(self, frame: work.Piece, size: int) -> None:
        """Raises Lie, as the others do."""
        if (active := self._find(frame.w, size)) is None:
            return
        active.bytes_left -= max(PIECE_BYTES, len(frame.text.encode(errors="replace")))
        active.tokens_left -= frame.n
        if active.bytes_left < 0 or active.tokens_left < 0:
            self._misbehaved(frame.w, active, "answer_too_long")
        active.answer.piece(frame.text, frame.n)

    def finish(self, frame: work.Finished, size: int) -> None:
        if (active := self._find(frame.w, size)) is None:
            return
        if frame.completion_tokens > active.order.max_tokens + SPARE_TOKENS:
            self._misbehaved(frame.w, active, "answer_too_long")
        self._over(frame.w, tolerated=0)
        if frame.reason not in ("stop", "length"):
            active.answer.fail("unable", f"{self._device} gave the work up")
            return
        self.finished += 1
        logprob = frame.logprob
        active.answer.finish(
            WorkEnd(
                reason=frame.reason,
                # A token is a byte at least, and a chat template adds a few.
                prompt_tokens=min(frame.prompt_tokens, most_tokens(active.order)),
                completion_tokens=frame.completion_tokens,
                logprob=logprob if logprob is not None and math.isfinite(logprob) else None,
            )
        )

    def refuse(self, frame: work.Refused, size: int) -> None:
        """The device's own words stay here: they might quote the question."""
        if (active := self._find(frame.w, size)) is None:
            return
        self._over(frame.w, tolerated=0)
        self.refusals[frame.code] += 1
        active.answer.fail(
            frame.code, f"{self._device} refused the work: {frame.code}", frame.retry_s
        )

    def lose(self, message: str) -> None:
        """The connection is over: all work fails at once."""
        active, self._active = self._active, {}
        for one in active.values():
            one.answer.fail("lost", message)

    def _begin(self, frame: work.Work, order: WorkOrder, deadline_s: float) -> WorkAnswer:
        w, self._next = frame.w, self._next + 1
        most = min(
            self._limits.max_answer_bytes, LEAST_ANSWER_BYTES + BYTES_PER_TOKEN * order.max_tokens
        )
        answer = WorkAnswer(self._device, deadline_s)
        self._active[w] = _Active(
            order=order, answer=answer, bytes_left=most, tokens_left=order.max_tokens + SPARE_TOKENS
        )
        self._outbox.put(frame)
        answer.when_over(lambda _: self._recall(w))
        return answer

    def _recall(self, w: int) -> None:
        """Unless it was the device that ended it."""
        if w in self._active:
            self._over(w, tolerated=LATE_BYTES)
            self._outbox.put(work.Recall(w))

    def _misbehaved(self, w: int, active: _Active, code: str) -> None:
        active.answer.fail("misbehaved", f"{self._device} sent more than it was asked for")
        raise ProtocolViolation(
            code, f"w: {w} has more text or tokens than its budget; it is cut off"
        )

    def _over(self, w: int, *, tolerated: int) -> None:
        del self._active[w]
        self._ended[w] = tolerated
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _find(self, w: int, size: int) -> _Active | None:
        """None for what may have been under way when the gateway ended it."""
        if (active := self._active.get(w)) is not None:
            return active
        if not 0 < w < self._next:
            raise ProtocolViolation("unknown_work", f"w: there is no work {w}")
        left = self._ended.get(w, 0) - size
        if left < 0:
            raise ProtocolViolation("work_over", f"w: {w} is over")
        self._ended[w] = left
        return None
