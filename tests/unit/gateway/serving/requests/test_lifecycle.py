from __future__ import annotations

import asyncio

import pytest

from gateway.core.admission import AdmissionLimits
from gateway.core.outcome import Outcome
from gateway.errors import EngineFailed, InvalidRequest, Overloaded
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import Recorder, SteppingClock

pytestmark = pytest.mark.anyio


class Door:
    """One request at a time may be inside."""

    def __init__(self, max_queue: int = 8) -> None:
        self.telemetry = Recorder()
        self.clock = SteppingClock()
        limits = AdmissionLimits(max_in_flight=1, max_queue=max_queue, max_wait_s=10.0)
        self.admission = Admission(limits, self.clock, self.telemetry)

    async def answer(self, work: asyncio.Future[None], outcome: Outcome) -> None:
        with Lifecycle(outcome, self.clock, self.telemetry.finished):
            async with AdmissionSlot(self.admission, outcome):
                await work


def done(error: BaseException | None = None) -> asyncio.Future[None]:
    future = asyncio.get_running_loop().create_future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


async def test_a_request_with_a_fault_ends_as_it_enters_and_is_reported_once() -> None:
    fault = InvalidRequest("n: expected a whole number", code="invalid_value", param="n")
    door, outcome = Door(), Outcome(request=request(fault=fault))
    with pytest.raises(InvalidRequest) as raised:
        await door.answer(done(), outcome)
    assert raised.value is fault
    assert door.telemetry.outcomes == [outcome]
    assert outcome.kind == "invalid_value" and door.telemetry.loads == []


async def test_a_request_that_ends_well_is_reported_once_with_its_end() -> None:
    door, outcome = Door(), Outcome(request=request())
    await door.answer(done(), outcome)
    assert door.telemetry.outcomes == [outcome]
    assert outcome.kind == "ok" and outcome.finished > 0.0
    assert door.telemetry.loads[-1] == (0, 0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EngineFailed("broke", endpoint="edge:1", code="engine_error"), "engine_error"),
        (ZeroDivisionError(), "internal_error"),
    ],
)
async def test_an_error_names_the_outcome_and_goes_on(error: Exception, kind: str) -> None:
    door, outcome = Door(), Outcome(request=request())
    with pytest.raises(type(error)):
        await door.answer(done(error), outcome)
    assert [reported.kind for reported in door.telemetry.outcomes] == [kind]
    assert door.telemetry.loads[-1] == (0, 0)


async def test_a_kind_that_the_work_has_noted_stays() -> None:
    door, outcome = Door(), Outcome(request=request(), kind="client_error")
    await door.answer(done(), outcome)
    assert outcome.kind == "client_error"


async def test_a_caller_that_leaves_while_it_queues_is_reported_and_frees_nothing() -> None:
    door = Door()
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    inside = asyncio.create_task(door.answer(work, Outcome(request=request())))
    queued = Outcome(request=request())
    leaving = asyncio.create_task(door.answer(done(), queued))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert door.telemetry.outcomes == [queued] and queued.kind == "cancelled"
    assert door.telemetry.loads[-1] == (1, 0)
    work.set_result(None)
    await inside
    assert door.telemetry.loads[-1] == (0, 0)


async def test_the_wait_for_admission_is_noted() -> None:
    door = Door()
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    inside = asyncio.create_task(door.answer(work, Outcome(request=request())))
    queued = Outcome(request=request())
    waiting = asyncio.create_task(door.answer(done(), queued))
    await asyncio.sleep(0)
    work.set_result(None)
    await asyncio.gather(inside, waiting)
    assert queued.queue_s > 0.0


async def test_a_request_that_is_shed_is_reported_as_such() -> None:
    door = Door(max_queue=0)
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    inside = asyncio.create_task(door.answer(work, Outcome(request=request())))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await door.answer(done(), Outcome(request=request()))
    assert [outcome.kind for outcome in door.telemetry.outcomes] == ["overloaded"]
    work.set_result(None)
    await inside
