from __future__ import annotations

import asyncio

import pytest

from gateway.core.admission import AdmissionLimits
from gateway.errors import Overloaded
from gateway.serving.requests.admission import Admission
from tests.unit.gateway.fakes import Recorder, SteppingClock

pytestmark = pytest.mark.anyio


def door(max_in_flight: int = 1, max_queue: int = 2, max_wait_s: float = 30.0) -> Admission:
    limits = AdmissionLimits(max_in_flight, max_queue, max_wait_s)
    return Admission(limits, SteppingClock(), Recorder())


async def waiting(*tasks: asyncio.Task[float]) -> None:
    for _ in range(len(tasks) + 2):
        await asyncio.sleep(0)


async def test_waiting_requests_enter_in_the_order_of_arrival() -> None:
    admission = door()
    assert await admission.enter() == 0.0
    first = asyncio.create_task(admission.enter())
    second = asyncio.create_task(admission.enter())
    await waiting(first, second)
    admission.leave()
    assert await first > 0.0
    assert not second.done()
    admission.leave()
    assert await second > 0.0


async def test_beyond_the_queue_a_request_is_refused_at_once() -> None:
    admission = door(max_queue=0)
    await admission.enter()
    with pytest.raises(Overloaded) as caught:
        await admission.enter()
    assert caught.value.retry_after > 0


async def test_a_wait_that_is_too_long_ends_and_leaves_no_trace() -> None:
    admission = door(max_wait_s=0.01)
    await admission.enter()
    with pytest.raises(Overloaded):
        await admission.enter()
    admission.leave()
    assert await admission.enter() == 0.0


async def test_leaving_the_queue_frees_the_place_in_it() -> None:
    admission = door(max_queue=1)
    await admission.enter()
    gone = asyncio.create_task(admission.enter())
    await waiting(gone)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    stays = asyncio.create_task(admission.enter())
    await waiting(stays)
    admission.leave()
    assert await stays > 0.0


async def test_a_place_given_to_a_caller_who_just_left_goes_to_the_next() -> None:
    admission = door()
    await admission.enter()
    gone = asyncio.create_task(admission.enter())
    stays = asyncio.create_task(admission.enter())
    await waiting(gone, stays)
    admission.leave()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await stays > 0.0
