"""The `Assignment` port: one answer of a device, while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.core.devices.member import MemberFailed, WorkEnd, WorkPiece


class WorkAnswer:
    """The answer of one device to one order: the device's connection fills it, the caller reads it.

    It fails by itself at its deadline. Pieces that nobody has read yet are joined, so that what
    waits is bounded by the answer's text.
    """

    def __init__(self, device: str, deadline_s: float) -> None:
        self.device = device
        self._text: list[str] = []
        self._tokens = 0
        self._end: WorkEnd | None = None
        self._failure: tuple[str, str, float] | None = None
        self._changed = asyncio.Event()
        self._watchers: list[Callable[[str], None]] = []
        self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline_s), self._expire)

    @property
    def over(self) -> bool:
        return self._end is not None or self._failure is not None

    def when_over(self, watch: Callable[[str], None]) -> None:
        """Call `watch(outcome)` once, when it is over: a finish reason, or a failure's code."""
        if self.over:
            watch(self._outcome())
        else:
            self._watchers.append(watch)

    def add_piece(self, text: str, tokens: int) -> None:
        if not self.over:
            self._text.append(text)
            self._tokens += tokens
            self._changed.set()

    def finish(self, end: WorkEnd) -> None:
        if not self.over:
            self._end = end
            self._close()

    def fail(self, code: str, message: str, retry_s: float = 0.0) -> None:
        if not self.over:
            if code == "misbehaved":
                self._text.clear()
            self._failure = code, message, retry_s
            self._close()

    def cancel(self) -> None:
        self.fail("cancelled", f"the work for {self.device} was cancelled")

    async def read(self) -> WorkPiece | WorkEnd:
        """The text since the last call, and at last the end. Raises MemberFailed."""
        while not self._text and not self.over:
            self._changed.clear()
            await self._changed.wait()
        if self._text:
            piece = WorkPiece("".join(self._text), self._tokens)
            self._text, self._tokens = [], 0
            return piece
        if self._failure is not None:
            code, message, retry_s = self._failure
            raise MemberFailed(device=self.device, code=code, message=message, retry_s=retry_s)
        assert self._end is not None
        return self._end

    def _expire(self) -> None:
        self.fail("deadline", f"{self.device} had not answered when the deadline passed")

    def _outcome(self) -> str:
        return self._failure[0] if self._failure is not None else getattr(self._end, "reason", "")

    def _close(self) -> None:
        self._timer.cancel()
        self._changed.set()
        watchers, self._watchers = self._watchers, []
        for watch in watchers:
            watch(self._outcome())


def failed(device: str, code: str, message: str) -> WorkAnswer:
    """An answer that has failed before it began."""
    answer = WorkAnswer(device, 0.0)
    answer.fail(code, message)
    return answer
