from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from gateway.core.routing.routing import Choice
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, EndpointState, PoolState
from gateway.errors import (
    DeadlineExceeded,
    EngineFailed,
    GatewayError,
    InvalidRequest,
    NoEndpoint,
    Overloaded,
    UnknownModel,
)
from gateway.serving.requests.scale_from_zero import WakeQueue
from tests.unit.gateway.build import FAMILY, request, state
from tests.unit.gateway.fakes import FakeAnswer, FakeEndpoints, ListSink, SteppingClock
from tests.unit.gateway.rig import DONE, InferenceRig, chunk, stream, streamed

pytestmark = pytest.mark.anyio

EVENTS = [chunk("a", "stop"), DONE]
LONG_S, SHORT_S = 60.0, 0.01


def pool(hold_s: float, name: str = "edge") -> PoolState:
    return PoolState(name=name, tier=Tier(name), hold_s=hold_s, models=frozenset({f"rill-{name}"}))


def rig(edge: PoolState, *others: PoolState, up: tuple[EndpointState, ...] = ()) -> InferenceRig:
    return InferenceRig(
        {"edge:1": stream(*EVENTS), "cloud:1": stream(*EVENTS)},
        list(up),
        pools=[edge, *others],
        limits={"max_queue": 2},
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_a_request_waits_for_the_first_endpoint_and_is_answered_by_it() -> None:
    edge = pool(LONG_S)
    built = rig(edge)
    asking = asyncio.create_task(built.ask(streamed("rill-edge")))
    await until(lambda: edge.held == 1)
    built.endpoints.arrive(state("edge:1", "edge"))
    sink = await asyncio.wait_for(asking, 5)
    assert sink.body == b"".join(EVENTS)
    assert edge.held == 0
    assert built.telemetry.outcomes[0].queue_s > 0


async def test_an_endpoint_of_another_pool_lets_a_request_wait_on() -> None:
    edge = pool(LONG_S)
    built = rig(edge)
    asking = asyncio.create_task(built.ask(streamed("rill-edge")))
    await until(lambda: edge.held == 1)
    built.endpoints.arrive(state("cloud:1", "cloud"))
    await until(lambda: not built.endpoints.news_pending)
    assert edge.held == 1 and not asking.done()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_caller_that_leaves_frees_its_place() -> None:
    edge = pool(LONG_S)
    built = rig(edge)
    asking = asyncio.create_task(built.ask(streamed("rill-edge")))
    await until(lambda: edge.held == 1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert edge.held == 0
    assert built.telemetry.outcomes[0].kind == "cancelled"
    built.assert_nothing_left_open()


async def refusal(built: InferenceRig, model: str, **demands: float) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await built.ask(streamed(model, **demands))
    return caught.value


async def test_a_request_that_waited_in_vain_is_told_how_long() -> None:
    error = await refusal(rig(pool(SHORT_S)), "rill-edge")
    assert isinstance(error, NoEndpoint)
    assert "pool edge got no endpoint within 0.01 s" in error.message


async def test_no_more_requests_are_held_than_may_queue() -> None:
    edge = pool(LONG_S)
    built = rig(edge)
    asking = [asyncio.create_task(built.ask(streamed("rill-edge"))) for _ in range(2)]
    await until(lambda: edge.held == 2)
    assert isinstance(await refusal(built, "rill-edge"), Overloaded)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_the_callers_deadline_is_kept_while_the_request_waits() -> None:
    error = await refusal(rig(pool(LONG_S)), "rill-edge", deadline_s=0.05)
    assert isinstance(error, DeadlineExceeded)


async def test_without_hold_an_empty_pool_refuses_at_once() -> None:
    edge = pool(0.0)
    assert isinstance(await refusal(rig(edge), "rill-edge"), NoEndpoint)
    assert isinstance(await refusal(rig(edge), "tierflow-auto"), NoEndpoint)


async def test_an_unknown_model_is_not_waited_for() -> None:
    edge = pool(LONG_S)
    cloud = state("cloud:1", "cloud")
    assert isinstance(await refusal(rig(edge, up=(cloud,)), "rill-moon"), UnknownModel)
    assert edge.held == 0


async def test_a_virtual_model_overflows_to_a_tier_that_is_up_and_waits_for_none() -> None:
    built = rig(pool(LONG_S), pool(0.0, "cloud"), up=(state("cloud:1", "cloud"),))
    sink = await built.ask(streamed("tierflow-edge"), ListSink())
    assert sink.ended
    assert built.telemetry.outcomes[0].endpoint == "cloud:1"


async def test_a_pool_whose_last_endpoint_cannot_be_reached_is_waited_for() -> None:
    edge = pool(LONG_S)
    gone = state("gone:1", "edge")
    built = rig(edge, up=(gone,))
    asking = asyncio.create_task(built.ask(streamed("rill-edge")))
    await until(lambda: edge.held == 1)
    assert built.endpoints.failed == ["gone:1"]
    built.endpoints.arrive(state("edge:1", "edge"))
    assert (await asyncio.wait_for(asking, 5)).ended


async def test_endpoints_that_come_up_and_cannot_be_reached_do_not_prolong_the_wait() -> None:
    # A second on the gateway's clock, which goes on by itself here.
    edge = pool(1.0)
    built = rig(edge)
    asking = asyncio.create_task(refusal(built, "rill-edge"))
    await until(lambda: edge.held == 1)
    arrivals = 0
    while not asking.done():
        arrivals += 1
        assert arrivals < 2000, "it is held for ever"
        built.endpoints.arrive(state(f"gone:{arrivals}", "edge"))
        await until(lambda: asking.done() or not built.endpoints.news_pending)
        await asyncio.sleep(0)
    assert isinstance(asking.result(), NoEndpoint)
    assert edge.held == 0 and len(built.endpoints.failed) > 100


def narrow(name: str, places: int, pool_name: str = "edge") -> EndpointState:
    found = state(name, pool_name)
    found.limits = replace(found.limits, max_in_flight=places)
    return found


class Gate:
    """An engine that begins no answer before it is told to."""

    def __init__(self, built: InferenceRig) -> None:
        self._open, self._orders = built.server.open, asyncio.Semaphore(0)
        built.server.open = self.open  # type: ignore[method-assign]

    async def open(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> FakeAnswer:
        await self._orders.acquire()
        return await self._open(endpoint, path, headers, body)

    def let(self, requests: int) -> None:
        for _ in range(requests):
            self._orders.release()


def held_rig(edge: PoolState, held: int) -> InferenceRig:
    return InferenceRig(
        {"edge:1": stream(*EVENTS), "cloud:1": stream(*EVENTS)},
        [],
        pools=[edge],
        limits={"max_queue": held},
    )


async def test_more_than_the_first_endpoint_takes_at_once_are_all_answered() -> None:
    edge = pool(LONG_S)
    built = held_rig(edge, 6)
    gate = Gate(built)
    asking = [asyncio.create_task(built.ask(streamed("rill-edge"))) for _ in range(6)]
    await until(lambda: edge.held == 6)
    first = narrow("edge:1", 2)
    built.endpoints.arrive(first)
    await until(lambda: first.in_flight == 2 and not built.endpoints.news_pending)
    assert edge.held == 4, "those that find it full wait on"
    gate.let(6)
    async with asyncio.timeout(5):
        sinks = await asyncio.gather(*asking)
    assert all(sink.body == b"".join(EVENTS) for sink in sinks)
    assert (edge.held, first.in_flight) == (0, 0)


async def test_a_place_wakes_only_the_request_that_came_first() -> None:
    edge = pool(LONG_S)
    built = held_rig(edge, 3)
    gate = Gate(built)
    asking = [asyncio.create_task(built.ask(streamed("rill-edge"))) for _ in range(3)]
    await until(lambda: edge.held == 3)
    built.endpoints.arrive(narrow("edge:1", 1))
    await until(lambda: edge.held == 2)
    gate.let(1)
    await asyncio.wait_for(asking[0], 5)
    await until(lambda: edge.held == 1)
    assert [task.done() for task in asking] == [True, False, False]
    gate.let(2)
    async with asyncio.timeout(5):
        await asyncio.gather(*asking)


async def test_a_request_for_which_no_place_came_free_is_told_that_all_are_taken() -> None:
    edge = pool(0.2)
    built = held_rig(edge, 2)
    asking = asyncio.create_task(refusal(built, "rill-edge"))
    await until(lambda: edge.held == 1)
    built.endpoints.arrive(narrow("edge:1", 0))
    error = await asyncio.wait_for(asking, 5)
    assert isinstance(error, Overloaded) and "full" in error.message
    assert edge.held == 0


async def test_a_place_that_a_caller_leaves_unused_is_the_next_ones() -> None:
    edge = pool(LONG_S)
    built = held_rig(edge, 3)
    gate = Gate(built)
    asking = [asyncio.create_task(built.ask(streamed("rill-edge"))) for _ in range(3)]
    await until(lambda: edge.held == 3)
    only = narrow("edge:1", 1)
    built.endpoints.arrive(only)
    await until(lambda: edge.held == 2 and not built.endpoints.news_pending)
    gate.let(1)
    await until(lambda: built.endpoints.news_pending)
    # Woken, and gone before it runs.
    asking[1].cancel()
    gate.let(1)
    assert (await asyncio.wait_for(asking[2], 5)).ended
    assert (edge.held, only.in_flight) == (0, 0)


async def test_a_place_at_which_the_engine_failed_is_the_next_ones() -> None:
    edge = pool(LONG_S)
    answers = [FakeAnswer([], 500), FakeAnswer(EVENTS)]
    built = InferenceRig(
        {"edge:1": lambda: answers.pop(0)}, [], pools=[edge], limits={"max_queue": 2}
    )
    gate = Gate(built)
    asking = [asyncio.create_task(built.ask(streamed("rill-edge"))) for _ in range(2)]
    await until(lambda: edge.held == 2)
    built.endpoints.arrive(narrow("edge:1", 1))
    await until(lambda: edge.held == 1 and not built.endpoints.news_pending)
    gate.let(2)
    async with asyncio.timeout(5):
        failed, answered = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(failed, EngineFailed)
    assert isinstance(answered, ListSink) and answered.ended


async def test_a_request_that_chooses_another_place_leaves_its_own_to_the_next() -> None:
    endpoints = FakeEndpoints([], [pool(LONG_S)])
    holding = WakeQueue(endpoints=endpoints, family=FAMILY, clock=SteppingClock(), max_held=2)
    here, there = state("edge:1", "edge"), state("edge:2", "edge")
    refusal_now = NoEndpoint("none", retry_after=1.0, code="no_endpoint")
    asked = request("rill-edge")
    waits = [
        asyncio.create_task(
            holding.wait(asked, refusal_now, lambda at=at: Choice(at, "rill-edge", "x"))  # type: ignore[misc]
        )
        for at in (there, here)
    ]
    await until(lambda: endpoints.waiters.waiting == 2)
    endpoints.slot_freed(here)
    async with asyncio.timeout(5):
        choices = await asyncio.gather(*waits)
    assert [choice.state for choice in choices] == [there, here]


async def test_a_request_that_proves_unusable_leaves_its_place_to_the_next() -> None:
    edge = state("edge:1", "edge")
    built = rig(pool(LONG_S), up=(edge,))
    waiting = asyncio.create_task(built.endpoints.wait_for_slot(lambda _: True))
    await asyncio.sleep(0)
    body = b'{"mod\\u0065l": "tierflow-edge"}'
    with pytest.raises(InvalidRequest):
        await built.ask(streamed("tierflow-edge", body=body))
    assert await asyncio.wait_for(waiting, 5) is edge
    assert edge.in_flight == 0
