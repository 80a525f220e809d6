"""The mark in the shared store: what was emptied is noticed, once by each replica."""

from __future__ import annotations

import itertools

import pytest

from gateway.adapters.state.mark import KEPT_S, MARK, RENEWED_S, SHOWN_S, StoreMark
from gateway.adapters.state.memory import MemoryStore
from gateway.core.state.operations import Forget, Read
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fakes import StoppedClock

pytestmark = pytest.mark.anyio


class Emptied:
    """A telemetry that counts what `StoreMark` tells."""

    def __init__(self) -> None:
        self.times = 0

    def emptied(self) -> None:
        self.times += 1

    def round_trip(self, seconds: float) -> None: ...

    def operations(self, name: str, outcome: str, number: int) -> None: ...


class MarkedStore:
    """Two replicas' marks in one store."""

    def __init__(self, places: int = 1) -> None:
        self.clock = StoppedClock()
        self.store = MemoryStore(self.clock, BOUNDS)
        self.counts = Emptied(), Emptied()
        numbers = itertools.count()
        self.replicas = [
            StoreMark(
                store=self.store,
                clock=self.clock,
                telemetry=count,
                new_id=lambda: f"mark-{next(numbers)}",
                places=places,
            )
            for count in self.counts
        ]

    async def turn(self, times: int = 2) -> None:
        """Twice, since a replica reads at its next look what another has written."""
        for _ in range(times):
            for replica in self.replicas:
                await replica.turn()

    @property
    def times(self) -> list[int]:
        return [count.times for count in self.counts]


async def test_a_new_store_and_one_that_stays_are_nothing_to_report() -> None:
    marked = MarkedStore()
    await marked.turn(times=5)
    assert marked.times == [0, 0]
    assert [replica.problem() for replica in marked.replicas] == ["", ""]


async def test_each_replica_notices_once_that_the_store_was_emptied() -> None:
    marked = MarkedStore()
    await marked.turn()
    marked.store.clear()
    await marked.turn(times=4)
    assert marked.times == [1, 1]
    assert all("must enrol again" in replica.problem() for replica in marked.replicas)
    marked.store.clear()
    await marked.turn()
    assert marked.times == [2, 2]


async def test_a_part_of_a_cluster_that_was_emptied_is_noticed() -> None:
    marked = MarkedStore(places=16)
    await marked.turn()
    await marked.store.run(Forget(MARK, "7"))
    await marked.turn(times=3)
    assert marked.times == [1, 1]


async def test_the_loss_is_shown_for_a_day() -> None:
    marked = MarkedStore()
    await marked.turn()
    marked.store.clear()
    await marked.turn()
    marked.clock.time += SHOWN_S + 1
    assert [replica.problem() for replica in marked.replicas] == ["", ""]


async def test_the_mark_of_a_gateway_that_runs_does_not_expire() -> None:
    marked = MarkedStore()
    for _ in range(int(KEPT_S / RENEWED_S) + 5):
        await marked.turn()
        marked.clock.time += RENEWED_S
    assert marked.times == [0, 0]
    ((renewals, mark),) = await marked.store.run(Read(MARK, "0"))
    assert mark == b"mark-0" and renewals > 1
