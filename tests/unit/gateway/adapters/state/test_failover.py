"""What callers see of a store that is lost: nobody waits, one looks, and it is said once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.state.failover import FailoverStore
from gateway.adapters.state.memory import MemoryStore
from gateway.core.state.circuit import Circuit
from gateway.core.state.operations import Advance, Claim, Complete, Held, Hold, Operation
from gateway.errors import StateLost
from tests.unit.gateway.build import BOUNDS

pytestmark = pytest.mark.anyio
LEASE = Hold(kind="device", name="phone", holder="one", value=b"v", ttl_s=60.0)


class Served:
    """A store on a server, which fails as told."""

    def __init__(self) -> None:
        self.memory = MemoryStore(MonotonicClock(), BOUNDS)
        self.error: StateLost | None = None
        self.runs = self.looked = 0
        self.may_look = asyncio.Event()
        self.may_look.set()
        self.own_problem: str | None = None

    def start(self) -> None: ...

    async def stop(self) -> None: ...

    def problem(self) -> str | None:
        return self.own_problem

    async def look(self) -> None:
        self.looked += 1
        await self.may_look.wait()
        if self.error is not None:
            raise self.error

    async def run(self, *operations: Operation) -> list[Any]:
        self.runs += 1
        if self.error is not None:
            raise self.error
        return await self.memory.run(*operations)

    async def publish(self, channel: str, message: bytes) -> None:
        if self.error is not None:
            raise self.error
        await self.memory.publish(channel, message)

    async def listen(self, channel: str, take: Callable[[bytes], None]) -> Callable[[], None]:
        return await self.memory.listen(channel, take)


class Counts:
    def __init__(self) -> None:
        self.counted = Counter[tuple[str, str]]()
        self.trips = 0

    def round_trip(self, seconds: float) -> None:
        self.trips += 1

    def emptied(self) -> None: ...

    def operations(self, name: str, outcome: str, number: int) -> None:
        self.counted[name, outcome] += number


def away(code: str = "state_lost") -> StateLost:
    return StateLost("Redis at nowhere can't be reached", retry_after=1.0, code=code)


class FailoverRig:
    def __init__(self, when_lost: str = "closed") -> None:
        self.served, self.counts = Served(), Counts()
        clock = MonotonicClock()
        local = MemoryStore(clock, BOUNDS) if when_lost == "open" else None
        circuit = Circuit(failures=3, first_pause_s=0.001, longest_pause_s=0.002)
        self.store = FailoverStore(
            store=self.served,
            local=local,
            clock=clock,
            telemetry=self.counts,
            uniform=lambda: 0.5,
            circuit=circuit,
        )

    async def lose(self) -> None:
        self.served.error = away()
        self.served.may_look.clear()
        for _ in range(3):
            try:
                await self.store.run(LEASE)
            except StateLost:
                pass

    async def regain(self) -> None:
        self.served.error = None
        self.served.may_look.set()
        async with asyncio.timeout(20):
            while self.store.problem() is not None:
                await asyncio.sleep(0.001)


async def test_after_failures_in_a_row_nobody_is_let_through() -> None:
    rig = FailoverRig()
    await rig.store.start()
    await rig.lose()
    runs = rig.served.runs
    for _ in range(50):
        with pytest.raises(StateLost) as lost:
            await rig.store.run(LEASE)
        assert lost.value.retry_after == 1.0
    assert rig.served.runs == runs
    await rig.regain()
    assert await rig.store.run(LEASE) == [True]
    await rig.store.stop()


async def test_one_look_at_a_time() -> None:
    rig = FailoverRig()
    await rig.store.start()
    await rig.lose()
    looked = rig.served.looked
    for _ in range(50):
        with pytest.raises(StateLost):
            await rig.store.run(LEASE)
        await asyncio.sleep(0)
    assert rig.served.looked - looked <= 1
    await rig.regain()
    await rig.store.stop()


async def test_a_single_failure_is_no_loss_where_a_look_succeeds() -> None:
    rig = FailoverRig()
    await rig.store.start()
    rig.served.error = away()
    with pytest.raises(StateLost):
        await rig.store.run(LEASE)
    rig.served.error = None
    assert rig.store.problem() is None
    assert await rig.store.run(LEASE) == [True]
    await rig.store.stop()


async def test_a_refusal_says_nothing_of_the_store() -> None:
    rig = FailoverRig("open")
    await rig.store.start()
    rig.served.error = away("state_too_large")
    for _ in range(5):
        with pytest.raises(StateLost):
            await rig.store.run(LEASE)
    rig.served.error = None
    assert rig.store.problem() is None
    assert rig.counts.counted == {("hold", "refused"): 5}
    await rig.store.stop()


async def test_open_callers_are_answered_all_the_while() -> None:
    rig = FailoverRig("open")
    heard: list[bytes] = []
    await rig.store.start()
    await rig.store.listen("work", heard.append)
    await rig.lose()
    assert await rig.store.run(Held("device")) == [{"phone": b"v"}]
    await rig.store.publish("work", b"m")
    assert heard == [b"m"]
    assert rig.counts.counted["hold", "local"] == 3
    await rig.regain()
    assert await rig.store.run(Held("device")) == [{}]
    await rig.store.publish("work", b"n")
    assert heard == [b"m", b"n"], "each is heard once"
    await rig.store.stop()


async def test_who_wants_no_local_answers_is_not_let_through_either_and_counted() -> None:
    rig = FailoverRig("open")
    strict = rig.store.without_local()
    await rig.store.start()
    assert await strict.run(LEASE) == [True]
    assert rig.counts.counted["hold", "ok"] == 1
    await rig.lose()
    runs, local = rig.served.runs, rig.counts.counted["hold", "local"]
    with pytest.raises(StateLost):
        await strict.run(LEASE)
    with pytest.raises(StateLost):
        await strict.publish("work", b"m")
    assert (rig.served.runs, rig.counts.counted["hold", "local"]) == (runs, local)
    assert rig.counts.counted["hold", "lost"] == rig.counts.counted["publish", "lost"] == 1
    await rig.regain()
    assert await strict.run(Held("device")) == [{"phone": b"v"}]
    await rig.store.stop()


async def test_the_failures_of_who_wants_no_local_answers_show_the_loss_to_all() -> None:
    rig = FailoverRig("open")
    strict = rig.store.without_local()
    await rig.store.start()
    rig.served.may_look.clear()
    rig.served.error = away()
    for _ in range(3):
        with pytest.raises(StateLost):
            await strict.run(LEASE)
    assert "until it is back" in (rig.store.problem() or "")
    await rig.regain()
    await rig.store.stop()


@pytest.mark.parametrize(
    "once",
    [
        Claim(name="key", digest="digest", holder="me", lease_s=60.0, ttl_s=600.0),
        Complete(name="key", holder="me", answer=b"answer", ttl_s=600.0),
        Advance(kind="collective", name="c", expected=0, value=b"v", ttl_s=60.0),
    ],
)
async def test_open_what_must_happen_once_waits_until_the_loss_is_known(once: Operation) -> None:
    rig = FailoverRig("open")
    await rig.store.start()
    rig.served.may_look.clear()
    rig.served.error = away()
    for _ in range(2):
        with pytest.raises(StateLost):
            await rig.store.run(LEASE, once)
    assert await rig.store.run(Held("device"), once) == [{}, *await _alone(once)]
    await rig.regain()
    await rig.store.stop()


async def _alone(operation: Operation) -> list[Any]:
    return await MemoryStore(MonotonicClock(), BOUNDS).run(operation)


async def test_open_what_a_single_failure_left_behind_is_forgotten() -> None:
    rig = FailoverRig("open")
    await rig.store.start()
    rig.served.error = away()
    assert await rig.store.run(LEASE, Held("device")) == [True, {"phone": b"v"}]
    looked = rig.served.looked
    rig.served.error = None
    async with asyncio.timeout(20):
        while rig.served.looked == looked:
            await asyncio.sleep(0.001)
    rig.served.error = away()
    rig.served.may_look.clear()
    assert await rig.store.run(Held("device")) == [{}]
    await rig.regain()
    await rig.store.stop()


async def test_a_message_that_may_have_arrived_is_not_sent_again() -> None:
    rig = FailoverRig("open")
    heard: list[bytes] = []
    await rig.store.start()
    await rig.store.listen("work", heard.append)
    rig.served.error = away()
    with pytest.raises(StateLost):
        await rig.store.publish("work", b"m")
    assert heard == []
    await rig.store.stop()


async def test_a_store_that_is_away_at_the_start_counts_as_lost_at_once() -> None:
    rig = FailoverRig()
    rig.served.error = away()
    await rig.store.start()
    assert "Redis at nowhere" in (rig.store.problem() or "")
    await rig.regain()
    await rig.store.stop()


async def test_what_the_store_itself_says_is_passed_on() -> None:
    rig = FailoverRig()
    await rig.store.start()
    rig.served.own_problem = "messages are not heard"
    assert rig.store.problem() == "messages are not heard"
    await rig.store.stop()


async def test_what_was_done_is_counted() -> None:
    rig = FailoverRig()
    await rig.store.start()
    await rig.store.run(LEASE, LEASE, Held("device"))
    await rig.store.publish("work", b"m")
    assert rig.counts.counted == {("hold", "ok"): 2, ("held", "ok"): 1, ("publish", "ok"): 1}
    assert rig.counts.trips == 1
    await rig.lose()
    assert rig.counts.counted["hold", "lost"] == 3
    await rig.regain()
    await rig.store.stop()
