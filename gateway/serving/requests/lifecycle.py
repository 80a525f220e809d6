"""The life of one request, in two blocks that every handler puts around its work:

    with Lifecycle(outcome, clock, telemetry.finished):
        async with AdmissionSlot(admission, outcome):
            ...

Admission lies inside the lifecycle, so that a request that is refused at the door, or whose caller
leaves while it waits there, is reported like any other. Both are classes with slots rather than
generators: a chat request goes through them once, and this is the cheaper way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from gateway.core.outcome import Outcome
from gateway.core.ports import Clock
from gateway.core.types import InferenceRequest
from gateway.errors import GatewayError
from gateway.serving.requests.admission import Admission

INTERNAL_ERROR = "internal_error"


def error_kind(error: BaseException) -> str:
    """The `Outcome.kind` of a request that this error ended."""
    if isinstance(error, GatewayError):
        return error.code
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled"
    return INTERNAL_ERROR


class Lifecycle:
    """The block in which one request is answered. At its end, whatever ends it, the outcome gets
    its kind and the time, and goes to `report`. Errors pass through. A request with
    a fault ends as it enters.

    An error that the block handles itself, because an answer has begun, it notes with `error_kind`.
    """

    __slots__ = ("_clock", "_outcome", "_report")

    def __init__(self, outcome: Outcome, clock: Clock, report: Callable[[Outcome], None]) -> None:
        self._outcome = outcome
        self._clock = clock
        self._report = report

    def __enter__(self) -> None:
        fault = self._outcome.request.fault
        if fault is not None:
            self.__exit__(type(fault), fault, None)
            raise fault

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        outcome = self._outcome
        if error is not None:
            outcome.kind, outcome.error = error_kind(error), type(error)
        outcome.finished = self._clock.now()
        used = outcome.request.caller.used
        if used is not None and outcome.opened is not None:
            used.add(outcome.used_tokens)
        self._report(outcome)


class AdmissionSlot:
    """A request's place inside the gateway, for as long as the block runs.

    Entering waits for it, and notes how long; it raises what `Admission.enter` raises. A block that
    is ended from outside raises the error that it is given for that.
    """

    __slots__ = ("_admission", "_end", "_outcome", "_task")

    def __init__(self, admission: Admission, outcome: Outcome) -> None:
        self._admission = admission
        self._outcome = outcome
        self._task: asyncio.Task[object] | None = None
        self._end: GatewayError | None = None

    @property
    def request(self) -> InferenceRequest:
        return self._outcome.request

    def end(self, error: GatewayError) -> None:
        """End the block from outside, wherever it waits now."""
        if self._end is None and self._task is not None:
            self._end = error
            self._task.cancel()

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        try:
            self._outcome.queue_s = await self._admission.enter(self)
        except asyncio.CancelledError as error:
            self._raise_end(error)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._admission.leave(self)
        self._raise_end(error)

    def _raise_end(self, error: BaseException | None) -> None:
        """Raise what the block was ended with, unless it is cancelled for another reason, too."""
        if self._end is None or self._task is None:
            return
        cancelled_again = self._task.uncancel() > 0
        if isinstance(error, asyncio.CancelledError) and not cancelled_again:
            raise self._end from error
