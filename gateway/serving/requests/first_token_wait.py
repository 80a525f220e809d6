"""A request's waits for its answer, which another endpoint may end early.

It waits as long as the settings allow, unless another endpoint can take it. Then it leaves when the
endpoint has sent nothing to anybody for longer than is usual there, and when it is taken out of
use. An engine that is busy is slow, but still sends to others: it is left its requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from types import TracebackType

from gateway.core.types import EndpointState
from gateway.core.upstream_errors import endpoint_down, endpoint_silent, idle_timeout
from gateway.serving.requests.progress_timeout import LATE_S, ProgressTimeout

SILENT_S = 1.0
"""An endpoint that is taken out of use and has sent nothing for so long sends nothing any more."""


class FirstTokenWait:
    """The block in which one request waits for an endpoint's first bytes, inside the block of its
    `timeout`. When the endpoint is taken out of use, it leaves at once.

    `movable` tells whether another endpoint could take it now. `usual_s`: seconds of silence from
    which on the endpoint counts as stuck; None where it never does. `now` is the gateway's clock.
    """

    __slots__ = ("_began", "_due", "_movable", "_now", "_state", "_timeout", "_timer", "_usual_s")

    def __init__(
        self,
        *,
        state: EndpointState,
        timeout: ProgressTimeout,
        movable: Callable[[], bool],
        usual_s: float | None,
        now: Callable[[], float],
    ) -> None:
        self._state = state
        self._timeout = timeout
        self._movable = movable
        self._usual_s = usual_s
        self._now = now
        self._began = self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._state.waits.add(self._leave)
        self._began = self._now()
        if self._usual_s is not None:
            self._set_timer(self._usual_s)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state.waits.discard(self._leave)
        if self._timer is not None:
            self._timer.cancel()

    def _leave(self) -> None:
        if self._movable():
            self._timeout.end(partial(endpoint_down, self._state.endpoint.id))

    def _set_timer(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + seconds
        self._timer = loop.call_later(seconds, self._check)

    def _silent_s(self) -> float:
        return self._now() - max(self._began, self._state.answered_at)

    def _end(self, silent_s: float) -> None:
        self._timeout.end(partial(endpoint_silent, self._state.endpoint.id, silent_s))

    def _check(self) -> None:
        usual_s, silent_s = self._usual_s or 0.0, self._silent_s()
        late = asyncio.get_running_loop().time() - self._due
        if late > LATE_S:
            self._set_timer(late)
        elif silent_s < usual_s:
            self._set_timer(usual_s - silent_s)
        elif self._movable():
            self._end(silent_s)
        else:
            self._set_timer(usual_s)


class NextPieceWait(FirstTokenWait):
    """The block in which a stream that another endpoint can go on with gets its pieces.

    An endpoint that is taken out of use may still send to those that it has begun to answer: they
    leave it only if it has fallen silent.
    """

    __slots__ = ()

    def _leave(self) -> None:
        silent_s = self._silent_s()
        if silent_s >= SILENT_S and self._movable():
            self._end(silent_s)

    def _end(self, silent_s: float) -> None:
        self._timeout.end(partial(idle_timeout, self._state.endpoint.id, round(silent_s, 2)))
