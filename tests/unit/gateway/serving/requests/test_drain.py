"""The gateway's way to its end: not ready, then closed, then what is left ends with an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.core.admission import AdmissionLimits
from gateway.core.outcome import Outcome
from gateway.errors import Draining
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.drain import QUIET_S, Drain, DrainTimes
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import Recorder, StoppedClock

pytestmark = pytest.mark.anyio
LONG_S = 60.0


class Rig:
    """A gateway with one request that lasts until `finish`."""

    def __init__(self, notice_s: float | None, drain_s: float, max_in_flight: int = 8) -> None:
        self.clock, self.telemetry = StoppedClock(), Recorder()
        limits = AdmissionLimits(max_in_flight, max_queue=8, max_wait_s=LONG_S)
        self.admission = Admission(limits, self.clock, self.telemetry)
        self.left = self.others = 0
        self.connections_closed = False
        self.drain = Drain(
            admission=self.admission,
            times=DrainTimes(notice_s, drain_s),
            clock=self.clock,
            telemetry=self.telemetry,
            leave=self._leave,
            others=lambda: self.others,
        )
        self.hurry = False
        self.work: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _leave(self) -> None:
        self.left += 1

    def _close(self) -> None:
        self.connections_closed = self.drain.closed

    async def ask(self) -> None:
        outcome = Outcome(request=request())
        with Lifecycle(outcome, self.clock, self.telemetry.finished):
            async with AdmissionSlot(self.admission, outcome):
                await asyncio.shield(self.work)

    def start(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.drain.run(lambda: self.hurry, self._close))

    def kinds(self) -> list[str]:
        return [outcome.kind for outcome in self.telemetry.outcomes]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_an_idle_gateway_ends_at_once_unless_a_notice_is_configured() -> None:
    rig = Rig(None, LONG_S)
    await asyncio.wait_for(rig.start(), 1)
    assert rig.drain.closed and rig.connections_closed and rig.left == 1

    rig = Rig(LONG_S, LONG_S)
    draining = rig.start()
    await until(lambda: rig.drain.begun)
    assert not rig.drain.closed and "takes requests" in (rig.drain.condition or "")
    rig.clock.time += LONG_S
    await asyncio.wait_for(draining, 1)
    assert rig.drain.closed


async def test_requests_that_come_during_the_notice_are_taken_and_may_end() -> None:
    rig = Rig(LONG_S, LONG_S)
    assert rig.drain.condition is None
    draining = rig.start()
    await until(lambda: rig.drain.begun)
    asking = asyncio.create_task(rig.ask())
    await until(lambda: rig.admission.held == 1)
    rig.clock.time += LONG_S
    await until(lambda: rig.drain.closed)
    assert rig.left == 1
    assert "1 have not ended" in (rig.drain.condition or "")
    assert rig.drain.refusal().code == "draining"
    assert rig.telemetry.sheds == ["draining"]
    # One on a connection that its client could keep is answered still.
    late = asyncio.create_task(rig.ask())
    await until(lambda: rig.admission.held == 2)
    rig.work.set_result(None)
    await asyncio.gather(asking, late)
    assert not draining.done(), "the next question may be on its way"
    rig.clock.time += 2 * QUIET_S
    await asyncio.wait_for(draining, 1)
    assert rig.kinds() == ["ok", "ok"]


async def test_without_a_configured_notice_running_requests_get_a_short_one() -> None:
    rig = Rig(None, LONG_S)
    asking = asyncio.create_task(rig.ask())
    await until(lambda: rig.admission.held == 1)
    draining = rig.start()
    await until(lambda: rig.drain.begun)
    assert not rig.drain.closed
    rig.work.set_result(None)
    await asking
    rig.clock.time += 2 * QUIET_S
    await asyncio.wait_for(draining, 1)
    assert rig.kinds() == ["ok"]


async def test_what_has_not_ended_in_time_ends_with_an_error_that_is_not_the_callers() -> None:
    rig = Rig(0.0, LONG_S, max_in_flight=1)
    asking = [asyncio.create_task(rig.ask()) for _ in range(2)]
    await until(lambda: rig.admission.held == 2)
    draining = rig.start()
    await until(lambda: rig.drain.closed)
    rig.clock.time += LONG_S
    ended = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 1)
    assert all(isinstance(error, Draining) and error.code == "drained" for error in ended)
    await asyncio.wait_for(draining, 1)
    assert rig.kinds() == ["drained", "drained"]
    assert rig.telemetry.loads[-1] == (0, 0)


async def test_a_second_signal_passes_over_what_is_left() -> None:
    rig = Rig(LONG_S, LONG_S)
    asking = asyncio.create_task(rig.ask())
    await until(lambda: rig.admission.held == 1)
    draining = rig.start()
    await until(lambda: rig.drain.begun)
    rig.hurry = True
    await asyncio.wait_for(draining, 1)
    with pytest.raises(Draining):
        await asking
    assert rig.kinds() == ["drained"]


async def test_a_caller_that_leaves_during_the_drain_has_left_and_was_not_ended() -> None:
    rig = Rig(0.0, LONG_S)
    asking = asyncio.create_task(rig.ask())
    await until(lambda: rig.admission.held == 1)
    draining = rig.start()
    await until(lambda: rig.drain.closed)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    rig.clock.time += 2 * QUIET_S
    await asyncio.wait_for(draining, 1)
    assert rig.kinds() == ["cancelled"]


async def test_it_waits_for_devices_to_go_and_for_callers_to_come_back_to_their_streams() -> None:
    rig = Rig(None, LONG_S)
    rig.others = 1
    draining = rig.start()
    await until(lambda: rig.drain.closed)
    assert not draining.done()
    rig.others = 0
    await asyncio.wait_for(draining, 1)

    rig = Rig(None, LONG_S)
    rig.others = 1
    draining = rig.start()
    await until(lambda: rig.drain.closed)
    rig.clock.time += LONG_S
    await asyncio.wait_for(draining, 1)
