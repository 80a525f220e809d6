"""An engine breaks in the middle of a session: another goes on, and the device sees one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from gateway.protocol.device_link import speculation as wire
from tests.integration.device import connected, opening
from tests.integration.devices.device_gateway import PROMPT, gateway_before, soon, tokenizer
from tests.integration.speculating_engine import SpeculatingEngine, answer_ids
from tests.servers import Server, eventually

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
TOKENS = 40
IDLE_S = 0.5


@dataclass
class TwoEngines:
    """A gateway before two engines that serve the same model."""

    gateway: Server
    engines: tuple[SpeculatingEngine, SpeculatingEngine]

    def of(self, endpoint: str) -> tuple[SpeculatingEngine, SpeculatingEngine]:
        """The engine at this endpoint, and the other."""
        first, second = self.engines
        address = endpoint.partition(":")[2]
        return (first, second) if first.url.endswith(address) else (second, first)

    def resumed(self, cause: str, outcome: str = "resumed") -> float:
        name = "tierflow_resumptions_total"
        return self.gateway.metric(name, way="draft", outcome=outcome, cause=cause)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoEngines]:
    engines = SpeculatingEngine(), SpeculatingEngine()
    with ExitStack() as stack:
        for engine in engines:
            engine.start()
            stack.callback(engine.stop)
        folder = tmp_path_factory.mktemp("resumed")
        gateway = stack.enter_context(gateway_before(folder, *engines, idle_s=IDLE_S))
        yield TwoEngines(gateway, engines)


@pytest.fixture
def pair(shared: TwoEngines) -> Iterator[TwoEngines]:
    yield shared
    for engine in shared.engines:
        engine.breaks_after = None
        engine.gate.set()
        engine.bodies.clear()
    eventually(lambda: not any(engine.running for engine in shared.engines), "engines are idle")


async def answer(
    pair: TwoEngines, act: Callable[[SpeculatingEngine, SpeculatingEngine], None], s: int = 1
) -> tuple[list[int], wire.Done, str]:
    """A session whose steps wait until `act` has prepared its engine and the other: its ids, its
    end, and the endpoint that the device was told."""
    for engine in pair.engines:
        engine.gate.clear()
    async with connected(pair.gateway.url) as device:
        await device.put(opening(s, tokenizer(), PROMPT, TOKENS))
        opened = await device.expect(wire.Opened)
        engine, other = pair.of(opened.endpoint)
        act(engine, other)
        engine.gate.set()
        other.gate.set()
        ids, done = await device.answer(s)
    return ids, done, opened.endpoint


def assert_whole(ids: list[int], done: wire.Done) -> None:
    assert ids == answer_ids(PROMPT, TOKENS)
    assert (done.reason, done.prompt_tokens) == ("length", len(PROMPT))
    assert done.completion_tokens == TOKENS


async def test_an_engine_that_breaks_in_the_middle_is_not_seen_by_the_device(
    pair: TwoEngines,
) -> None:
    counted = pair.resumed("engine_disconnected")

    def breaks(engine: SpeculatingEngine, other: SpeculatingEngine) -> None:
        engine.breaks_after = 7

    ids, done, endpoint = await answer(pair, breaks)
    assert_whole(ids, done)
    (body,) = pair.of(endpoint)[1].bodies
    assert body["prompt"] == [*PROMPT, *ids[:7]]
    assert body["max_tokens"] == TOKENS - 7
    assert pair.resumed("engine_disconnected") == counted + 1


async def test_drafts_go_on_to_the_engine_that_goes_on(pair: TwoEngines) -> None:
    truth = answer_ids(PROMPT, TOKENS)
    for engine in pair.engines:
        engine.gate.clear()
    async with connected(pair.gateway.url) as device:
        await device.put(opening(1, tokenizer(), PROMPT, TOKENS))
        engine, other = pair.of((await device.expect(wire.Opened)).endpoint)
        engine.breaks_after = 3
        engine.gate.set()
        await soon(lambda: other.bodies, "the other goes on")
        await device.put(wire.Draft(s=1, p=3, i=truth[3:11], b=truth[:3]))
        await soon(lambda: other.drafts, "the draft is there")
        other.gate.set()
        ids, done = await device.answer(1)
    assert_whole(ids, done)
    assert done.accepted >= 8
    other.drafts.clear()


async def test_an_engine_that_hangs_in_the_middle_is_left_for_another(pair: TwoEngines) -> None:
    counted = pair.resumed("idle_timeout")
    for engine in pair.engines:
        engine.step_s = 0.02
    async with connected(pair.gateway.url) as device:
        await device.put(opening(1, tokenizer(), PROMPT, TOKENS))
        engine, other = pair.of((await device.expect(wire.Opened)).endpoint)
        first = await device.expect(wire.Tokens)
        engine.gate.clear()
        ids, done = list(first.i), None
        while done is None:
            frame = await device.get()
            if isinstance(frame, wire.Tokens):
                assert frame.p == len(ids)
                ids += frame.i
            elif isinstance(frame, wire.Done):
                done = frame
    for each in pair.engines:
        each.step_s = 0.002
    assert_whole(ids, done)
    assert pair.resumed("idle_timeout") == counted + 1


async def test_where_both_break_the_device_keeps_what_was_verified_and_gets_one_error(
    pair: TwoEngines,
) -> None:
    for engine in pair.engines:
        engine.breaks_after = 4
    async with connected(pair.gateway.url) as device:
        await device.put(opening(1, tokenizer(), PROMPT, TOKENS))
        await device.expect(wire.Opened)
        ids: list[int] = []
        while isinstance(frame := await device.get(), wire.Tokens):
            assert frame.p == len(ids)
            ids += frame.i
        assert isinstance(frame, wire.Error)
        assert (frame.code, frame.s, frame.fatal) == ("engine_disconnected", 1, True)
    assert ids == answer_ids(PROMPT, len(ids)) and len(ids) >= 8
    assert pair.resumed("engine_disconnected", "failed") >= 1


async def test_a_killed_engine_loses_none_of_many_sessions(pair: TwoEngines) -> None:
    """The last test of the module: one of its engines is gone after it."""
    for engine in pair.engines:
        engine.step_s = 0.01
    prompts = {s: [s, 3 * s] for s in range(1, 31)}
    answers: dict[int, list[int]] = {s: [] for s in prompts}
    async with connected(pair.gateway.url) as device:
        for s, prompt in prompts.items():
            await device.put(opening(s, tokenizer(), prompt, TOKENS))
        left, killed = set(prompts), False
        while left:
            frame = await device.get()
            if isinstance(frame, wire.Tokens):
                assert frame.p == len(answers[frame.s])
                answers[frame.s] += frame.i
            elif isinstance(frame, wire.Done):
                left.discard(frame.s)
            assert not isinstance(frame, wire.Error), frame
            if not killed and sum(map(len, answers.values())) > 100:
                killed = True
                busiest = max(pair.engines, key=lambda engine: engine.running)
                await asyncio.to_thread(busiest.stop)
    assert answers == {s: answer_ids(prompt, TOKENS) for s, prompt in prompts.items()}
