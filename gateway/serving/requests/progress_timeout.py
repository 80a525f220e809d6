"""How long engines and callers may take, and a timeout whose deadline moves cheaply.

A relayed stream moves its deadline with every piece, so that must not touch a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from gateway.core.upstream_errors import deadline_exceeded, first_token_timeout


@dataclass(frozen=True, slots=True)
class AnswerTimeouts:
    """How long an engine may take, in seconds: until a stream's first bytes, between two pieces of
    it, and for an answer in one piece."""

    first_token_s: float
    idle_s: float
    answer_s: float


def first_wait(
    endpoint: str,
    seconds: float,
    *,
    what: str = "first token",
    remaining_s: float | None = None,
    before: str = "the answer began",
) -> tuple[float, Callable[[], Exception]]:
    """What `ProgressTimeout.expect` takes for the wait for an endpoint's first bytes: `seconds` or
    the `remaining_s` until the caller's deadline, and the error for whichever ends first.

    `what` has not come within `seconds`; `before` is what had not happened at the deadline.
    """
    if remaining_s is not None and remaining_s <= seconds:
        return remaining_s, partial(deadline_exceeded, before)
    return seconds, partial(first_token_timeout, endpoint, seconds, what)


LATE_S = 0.25
"""A timer that runs out this much after its time was held up by this process, whose event loop
stood still: what it waited for may have come meanwhile, and is read first."""


class ProgressTimeout:
    """A block with a deadline that may be moved: when it passes, the block is cancelled and
    `error()` is raised in place of the cancellation.

    It differs from asyncio.timeout in `extend`, which only notes a time: a timer that runs out
    too early looks at it and is set again. `now` is the gateway's clock, in seconds. The time for
    which the event loop stood still does not count.
    """

    __slots__ = ("_deadline", "_due", "_error", "_expired", "_loop", "_now", "_task", "_timer")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = float("inf")
        self._due = float("inf")
        self._error: Callable[[], Exception] = TimeoutError
        self._expired = False

    def expect(self, seconds: float, error: Callable[[], Exception]) -> None:
        """Set the deadline `seconds` from now, and the error for it."""
        self._error = error
        self._deadline = self._now() + seconds
        if self._timer is not None:
            self._timer.cancel()
        self._set_timer(seconds)

    def extend(self, deadline: float) -> None:
        """Move the deadline to a later moment on the clock."""
        self._deadline = deadline

    def end(self, error: Callable[[], Exception]) -> None:
        """The deadline is now, and this is the error for it. Without effect outside the block."""
        if self._task is not None and not self._expired:
            self._error = error
            self._expired = True
            self._task.cancel()

    def _set_timer(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._check)

    def _check(self) -> None:
        late = self._loop.time() - self._due
        remaining = self._deadline - self._now()
        if remaining > 0.0:
            self._set_timer(remaining)
        elif late > LATE_S:
            self._set_timer(late)
        else:
            self.end(self._error)

    def __enter__(self) -> ProgressTimeout:
        self._task = asyncio.current_task()
        self._expired = False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        task, self._task = self._task, None
        if self._expired and task is not None:
            still_cancelled = task.uncancel() > 0
            if kind is asyncio.CancelledError and not still_cancelled:
                raise self._error() from error
