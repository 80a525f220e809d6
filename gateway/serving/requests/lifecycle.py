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
        self._report(outcome)


class AdmissionSlot:
    """A request's place inside the gateway, for as long as the block runs.

    Entering waits for it, and notes how long; it raises Overloaded.
    """

    __slots__ = ("_admission", "_outcome")

    def __init__(self, admission: Admission, outcome: Outcome) -> None:
        self._admission = admission
        self._outcome = outcome

    async def __aenter__(self) -> None:
        self._outcome.queue_s = await self._admission.enter()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._admission.leave()
