"""The console's feed: events while somebody looks, and nothing otherwise."""

from __future__ import annotations

import asyncio

import pytest

from gateway.serving.console.feed import GRACE_S, Feed
from tests.unit.gateway.fakes import StoppedClock

pytestmark = pytest.mark.anyio


def feed(clock: StoppedClock | None = None, kept: int = 4) -> Feed:
    return Feed(name="life", clock=clock or StoppedClock(), most=2, kept=kept)


def unmade() -> bytes:
    raise AssertionError("nobody looks, and an event was made")


async def test_nothing_is_made_while_nobody_looks() -> None:
    feed().put(unmade)


async def test_who_looks_is_told_what_happens_from_then_on() -> None:
    events = feed()
    events.put(unmade)
    with events.watch(0) as watch:
        waiting = asyncio.create_task(watch.news(5.0))
        await asyncio.sleep(0)
        events.put(lambda: b"1")
        assert await waiting == [(1, b"1")]
        events.put(lambda: b"2")
        events.put(lambda: b"3")
        assert await watch.news(5.0) == [(2, b"2"), (3, b"3")]
        assert await watch.news(0.0) == []
    events.put(lambda: b"4")


async def test_who_was_cut_off_goes_on_where_it_was() -> None:
    clock = StoppedClock()
    events = feed(clock)
    with events.watch(0) as watch:
        events.put(lambda: b"1")
        assert await watch.news(0.0)
    clock.time += GRACE_S - 1
    events.put(lambda: b"2")
    with events.watch(1) as watch:
        assert await watch.news(0.0) == [(2, b"2")]


async def test_what_nobody_came_back_for_is_let_go() -> None:
    clock = StoppedClock()
    events = feed(clock)
    with events.watch(0):
        events.put(lambda: b"1")
    clock.time += GRACE_S + 1
    events.put(unmade)
    with events.watch(0) as watch:
        assert await watch.news(0.0) == []


async def test_who_is_slow_misses_the_oldest() -> None:
    events = feed(kept=2)
    with events.watch(0) as watch:
        for number in (b"1", b"2", b"3"):
            events.put(lambda number=number: number)  # type: ignore[misc]
        assert await watch.news(0.0) == [(2, b"2"), (3, b"3")]


async def test_an_event_that_cannot_be_made_costs_its_request_nothing() -> None:
    events = feed()
    with events.watch(0) as watch:
        events.put(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
        events.put(lambda: b"2")
        assert await watch.news(0.0) == [(1, b"2")]


async def test_only_so_many_may_look() -> None:
    events = feed()
    with events.watch(0):
        assert not events.full
        with events.watch(0):
            assert events.full
        assert not events.full
