"""Answers whose gateway is lost or stops: they go on elsewhere, alone only where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import generate_latest

from gateway.protocol.requests.sampling import Sampling
from services.device_agent.answers.answer import AnswerReport, GenerationRequest
from services.device_agent.answers.answer_router import AnswerRouter
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link import link
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import TextModel
from tests.servers import SHIPPED_FAMILY, metric_in
from tests.unit.services.device_agent.scripted_drafter import ScriptedDrafter
from tests.unit.services.device_agent.scripted_gateway import ScriptedGateway, answer_ids, linked

pytestmark = pytest.mark.anyio
TOKENS = 30
PAUSE = 11
PROMPT = [3, 4, 5]
REQUEST = GenerationRequest(prompt=PROMPT, sampling=Sampling(max_tokens=TOKENS, ignore_eos=True))
Act = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def model() -> TextModel:
    return TextModel(SHIPPED_FAMILY / "rill-device")


class Answers:
    """A device that answers, and the ids of its answers as they came."""

    def __init__(self, router: AnswerRouter, metrics: AgentMetrics) -> None:
        self.router = router
        self.metrics = metrics
        self.report = AnswerReport(placement="")

    async def answer(self, at: int = -1, act: Act | None = None) -> list[int]:
        """The answer's ids; `act` is done once there are `at` of them."""
        ids: list[int] = []
        route = self.router.route("device-cloud")
        async for piece in self.router.answer(REQUEST, route, self.report):
            ids += piece.token_ids
            if act is not None and len(ids) >= at:
                await act()
                act = None
        return ids

    @property
    def resumed(self) -> float:
        page = generate_latest(self.metrics.registry).decode()
        return metric_in(page, "tierflow_device_resumptions_total")


@asynccontextmanager
async def answering(model: TextModel, *gateways: ScriptedGateway) -> AsyncIterator[Answers]:
    for gateway in gateways:
        gateway.tokenizer = model.fingerprint
        gateway.__post_init__()
    thread = DraftingThread(ScriptedDrafter([7] * 500, in_place=True))
    metrics = AgentMetrics()
    async with linked(*gateways) as up:
        router = AnswerRouter(model=model, thread=thread, link=up, metrics=metrics)
        yield Answers(router, metrics)
    thread.close()


async def test_another_gateway_goes_on_from_the_verified_tokens(model: TextModel) -> None:
    first, second = ScriptedGateway(pauses_at=PAUSE), ScriptedGateway()
    async with answering(model, first, second) as device:
        assert await device.answer(PAUSE, first.kill) == answer_ids(PROMPT, TOKENS)
        (opened,) = second.opened
        assert opened.verified == answer_ids(PROMPT, PAUSE)
        assert (opened.prompt, opened.sampling) == (PROMPT, REQUEST.sampling)
        report = device.report
        assert (report.verified_tokens, report.unverified_tokens) == (TOKENS, 0)
        assert (report.degraded, report.endpoint) == (None, second.url)
        assert device.resumed == 1


async def test_the_same_gateway_goes_on_once_it_is_back(model: TextModel) -> None:
    gateway = ScriptedGateway(pauses_at=PAUSE)

    async def restart() -> None:
        await gateway.kill()
        gateway.pauses_at = 10**9
        await gateway.start()

    async with answering(model, gateway) as device:
        assert await device.answer(PAUSE, restart) == answer_ids(PROMPT, TOKENS)
        assert device.report.degraded is None


async def test_an_answer_ends_where_it_is_while_its_gateway_stops(model: TextModel) -> None:
    first, second = ScriptedGateway(pauses_at=PAUSE), ScriptedGateway()

    async def drain() -> None:
        await first.drain()
        first.gate.set()

    async with answering(model, first, second) as device:
        assert await device.answer(PAUSE, drain) == answer_ids(PROMPT, TOKENS)
        assert second.opened == [] and device.resumed == 0


async def test_alone_only_where_no_gateway_can_be_reached(model: TextModel) -> None:
    gateway = ScriptedGateway(pauses_at=PAUSE)
    async with answering(model, gateway) as device:
        ids = await device.answer(PAUSE, gateway.kill)
        await gateway.start()
        assert ids == answer_ids(PROMPT, PAUSE) + [7] * (TOKENS - PAUSE)
        assert device.report.degraded and "the connection to the gateway" in device.report.degraded
        assert device.report.unverified_tokens == TOKENS - PAUSE
        assert device.resumed == 0


async def test_alone_where_another_gateway_has_no_such_model(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "RECONNECT_S", 0.5)
    first, second = ScriptedGateway(pauses_at=PAUSE), ScriptedGateway()
    async with answering(model, first, second) as device:
        second.offers = []
        ids = await device.answer(PAUSE, first.kill)
        assert ids[:PAUSE] == answer_ids(PROMPT, PAUSE)
        assert device.report.degraded
        assert second.opened == []


async def test_an_answer_that_was_complete_needs_no_other_gateway(model: TextModel) -> None:
    first, second = ScriptedGateway(), ScriptedGateway()
    async with answering(model, first, second) as device:
        ids = await device.answer(TOKENS, first.kill)
        assert ids == answer_ids(PROMPT, TOKENS)
        assert second.opened == []


async def test_a_session_that_brings_nothing_is_not_opened_for_ever(model: TextModel) -> None:
    first, second = ScriptedGateway(pauses_at=0), ScriptedGateway(pauses_at=0)

    async def cut_forever() -> None:
        while True:
            for gateway in (first, second):
                if gateway.paused.is_set():
                    gateway.paused.clear()
                    for connection in list(gateway.connections):
                        connection.transport.abort()
            await asyncio.sleep(0.005)

    async with answering(model, first, second) as device:
        cutting = asyncio.create_task(cut_forever())
        ids = await asyncio.wait_for(device.answer(), 30)
        cutting.cancel()
        assert ids == [7] * TOKENS
        assert len(first.opened) + len(second.opened) == 3
