from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.admission import AdmissionLimits
from gateway.core.types import Caller
from gateway.errors import DeadlineExceeded, Draining, GatewayError, Overloaded
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.drain import drained
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import Recorder, SteppingClock, StoppedClock

pytestmark = pytest.mark.anyio


class Visitor:
    """One request at the gate."""

    def __init__(self, caller: str = "", **fields: Any) -> None:
        self.request = request(caller=Caller(id=caller), **fields)
        self.ended: GatewayError | None = None

    def end(self, error: GatewayError) -> None:
        self.ended = error


class Gate:
    def __init__(
        self,
        max_in_flight: int = 1,
        max_queue: int = 2,
        max_wait_s: float = 30.0,
        clock: StoppedClock | SteppingClock | None = None,
    ) -> None:
        self.telemetry = Recorder()
        limits = AdmissionLimits(max_in_flight, max_queue, max_wait_s)
        self.admission = Admission(limits, clock or SteppingClock(), self.telemetry)

    async def inside(self, *visitors: Visitor) -> Visitor:
        """Let them in, or another one; the last."""
        for visitor in visitors or (Visitor(),):
            await self.admission.enter(visitor)
        return visitor

    async def waiting(self, *visitors: Visitor) -> list[asyncio.Task[float]]:
        """They stand in the queue in this order."""
        tasks = []
        for visitor in visitors:
            tasks.append(asyncio.create_task(self.admission.enter(visitor)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return tasks


async def test_waiting_requests_of_a_caller_enter_in_the_order_of_arrival() -> None:
    gate = Gate()
    first = await gate.inside()
    second, third = Visitor(), Visitor()
    one, two = await gate.waiting(second, third)
    gate.admission.leave(first)
    assert await one > 0.0
    assert not two.done()
    gate.admission.leave(second)
    assert await two > 0.0


async def test_callers_take_turns_and_the_urgent_go_first() -> None:
    gate = Gate(max_queue=8)
    current = await gate.inside()
    visitors = [Visitor("flood"), Visitor("flood"), Visitor("other"), Visitor("flood", priority=9)]
    tasks = await gate.waiting(*visitors)
    order = []
    for _ in visitors:
        gate.admission.leave(current)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (entered,) = [n for n, task in enumerate(tasks) if task.done() and n not in order]
        order.append(entered)
        current = visitors[entered]
    assert order == [3, 0, 2, 1]


async def test_beyond_the_queue_a_request_is_refused_at_once_and_counted() -> None:
    gate = Gate(max_queue=0)
    await gate.inside()
    with pytest.raises(Overloaded) as caught:
        await gate.inside()
    assert caught.value.retry_after > 0
    assert gate.telemetry.sheds == ["queue_full"]


async def test_the_time_to_come_again_follows_from_how_fast_requests_come_through() -> None:
    clock = StoppedClock()
    gate = Gate(max_queue=0, clock=clock)
    first = await gate.inside()
    clock.time += 20.0
    gate.admission.leave(first)
    await gate.inside()
    with pytest.raises(Overloaded) as caught:
        await gate.inside()
    assert caught.value.retry_after == pytest.approx(20.0)


async def test_in_a_full_queue_the_caller_with_most_requests_gives_way() -> None:
    gate = Gate(max_queue=3)
    await gate.inside()
    flood = await gate.waiting(*(Visitor("flood") for _ in range(3)))
    (other,) = await gate.waiting(Visitor("other"))
    with pytest.raises(Overloaded):
        await flood[2]
    assert not other.done() and not flood[1].done()
    assert gate.telemetry.sheds == ["displaced"]
    assert gate.telemetry.loads[-1] == (1, 3)


async def test_a_wait_that_is_too_long_ends_and_leaves_no_trace() -> None:
    gate = Gate(max_wait_s=0.01)
    first = await gate.inside()
    with pytest.raises(Overloaded):
        await gate.inside()
    assert gate.telemetry.sheds == ["wait"]
    gate.admission.leave(first)
    assert await gate.admission.enter(Visitor()) == 0.0


async def test_a_deadline_that_the_queue_makes_impossible_is_refused_at_once() -> None:
    clock = StoppedClock()
    gate = Gate(clock=clock)
    first = await gate.inside()
    clock.time += 20.0
    gate.admission.leave(first)
    await gate.inside()
    with pytest.raises(DeadlineExceeded):
        await gate.inside(Visitor(received=clock.time, deadline_s=5.0))
    assert gate.telemetry.sheds == ["deadline"]
    (possible,) = await gate.waiting(Visitor(received=clock.time, deadline_s=15.0))
    assert not possible.done()


async def test_a_deadline_is_not_judged_before_a_request_has_shown_how_long_one_takes() -> None:
    clock = StoppedClock()
    gate = Gate(clock=clock)
    await gate.inside()
    (task,) = await gate.waiting(Visitor(received=clock.time, deadline_s=5.0))
    assert not task.done()


async def test_a_deadline_that_passes_in_the_queue_ends_the_wait_as_one() -> None:
    gate = Gate()
    await gate.inside()
    with pytest.raises(DeadlineExceeded):
        await gate.inside(Visitor(received=0.0, deadline_s=0.02))


async def test_leaving_the_queue_frees_the_place_in_it() -> None:
    gate = Gate(max_queue=1)
    first = await gate.inside()
    (gone,) = await gate.waiting(Visitor())
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    (stays,) = await gate.waiting(Visitor())
    gate.admission.leave(first)
    assert await stays > 0.0


async def test_a_place_given_to_a_caller_who_just_left_goes_to_the_next() -> None:
    gate = Gate()
    first = await gate.inside()
    gone, stays = await gate.waiting(Visitor(), Visitor())
    gate.admission.leave(first)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await stays > 0.0


async def test_all_can_be_ended_those_inside_and_those_who_wait() -> None:
    gate = Gate()
    first = await gate.inside()
    (waits,) = await gate.waiting(Visitor())
    assert gate.admission.held == 2
    assert gate.admission.end_all(drained) == 2
    assert first.ended is not None and first.ended.code == "drained"
    with pytest.raises(Draining):
        await waits
    gate.admission.leave(first)
    assert gate.admission.held == 0
    assert gate.telemetry.loads[-1] == (0, 0)


async def test_how_long_nobody_has_been_inside_is_known() -> None:
    clock = StoppedClock()
    gate = Gate(clock=clock)
    assert gate.admission.idle_s == float("inf")
    first = await gate.inside()
    clock.time += 5.0
    assert gate.admission.idle_s == 0.0
    gate.admission.leave(first)
    clock.time += 2.0
    assert gate.admission.idle_s == 2.0
