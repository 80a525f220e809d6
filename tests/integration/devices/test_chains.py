"""Answers through a tier in the middle: its text comes ahead, and the tier above decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from gateway.protocol.device_link import speculation as wire
from tests.integration.device import Device, connected, opening
from tests.integration.devices.device_gateway import PROMPT, gateway_before, soon, tokenizer
from tests.integration.speculating_engine import VOCABULARY, SpeculatingEngine, answer_ids
from tests.servers import Server, eventually, metric_in

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
LENGTH = 120


@dataclass
class MiddleEngine(SpeculatingEngine):
    """Says what the cloud's engine says, but for one id in `wrong_every`, by chance; 0: never."""

    model: str = "rill-edge"
    wrong_every: int = 0

    def answer(self, body: dict[str, Any]) -> tuple[list[int], str, str | None]:
        text: list[int] = list(body["prompt"])
        for _ in range(body["max_tokens"]):
            (token,) = answer_ids(text, 1)
            wrong = self.wrong_every and sum(text) % self.wrong_every == 0
            text.append((token + 1) % VOCABULARY if wrong else token)
        return text[len(body["prompt"]) :], "length", None


@dataclass(frozen=True)
class Tiers:
    gateway: Server
    middle: MiddleEngine
    cloud: SpeculatingEngine
    lower: MiddleEngine | None = None


@pytest.fixture(scope="module")
def three_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """The edge serves two models, of which one drafts for the other."""
    lower, upper = MiddleEngine(), MiddleEngine(model="rill-middle")
    cloud = SpeculatingEngine(step_s=0.02)
    with ExitStack() as stack:
        for engine in (lower, upper, cloud):
            engine.start()
            stack.callback(engine.stop)
        folder = tmp_path_factory.mktemp("three")
        chains = {"tierflow-three": ("rill-edge", "rill-middle", "rill-cloud")}
        gateway = stack.enter_context(
            gateway_before(folder, cloud, middle=[lower, upper], chains=chains)
        )
        yield Tiers(gateway, upper, cloud, lower)


@pytest.fixture(scope="module")
def all_tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    middle, cloud = MiddleEngine(), SpeculatingEngine()
    with ExitStack() as stack:
        for engine in (middle, cloud):
            engine.start()
            stack.callback(engine.stop)
        folder = tmp_path_factory.mktemp("chains")
        gateway = stack.enter_context(gateway_before(folder, cloud, middle=[middle]))
        yield Tiers(gateway, middle, cloud)


@pytest.fixture
def tiers(all_tiers: Tiers) -> Iterator[Tiers]:
    """As at the start, and idle before the next test."""
    yield all_tiers
    for engine in (all_tiers.middle, all_tiers.cloud):
        engine.breaks_after = engine.refuses = None
        engine.breaks_for_good = False
        engine.gate.set()
        eventually(lambda engine=engine: engine.running == 0, "no work is left")  # type: ignore[misc]
        engine.bodies.clear()
    all_tiers.middle.wrong_every = 0
    all_tiers.middle.step_s = all_tiers.cloud.step_s = 0.002


through = partial(opening, tokenizer=tokenizer(), prompt=PROMPT, through=("edge",))


@dataclass
class Heard:
    ids: list[int]
    writers: list[int]
    expected: list[wire.Ahead]
    done: wire.Done


async def whole(device: Device, draft: bool = False, right: list[int] | None = None) -> Heard:
    """A session's answer, to its end. With `draft` the device drafts the `right` ids after all
    that it hears, verified or expected."""
    heard = Heard([], [], [], wire.Done(s=1, reason="stop", prompt_tokens=0, completion_tokens=0))
    while True:
        frame = await device.get()
        if isinstance(frame, wire.Tokens):
            assert frame.p == len(heard.ids)
            assert len(frame.w) == len(frame.i)
            heard.ids += frame.i
            heard.writers += frame.w
        elif isinstance(frame, wire.Ahead):
            heard.expected.append(frame)
        elif isinstance(frame, wire.Done):
            heard.done = frame
            return heard
        if draft and right is not None and isinstance(frame, wire.Tokens | wire.Ahead):
            place = frame.p + len(frame.i)
            if ids := right[place : place + 4]:
                before = right[max(0, place - 4) : place]
                await device.put(wire.Draft(s=1, p=place, i=ids, b=before))


async def test_the_middle_drafts_for_the_cloud_and_says_so(tiers: Tiers) -> None:
    tiers.cloud.step_s = 0.02
    async with connected(tiers.gateway.url) as device:
        cloud = next(offer for offer in device.welcome.offers if offer.tier == "cloud")
        assert cloud.through == ("edge",)
        await device.put(through(s=1, tokens=LENGTH))
        heard = await whole(device)
    assert heard.ids == answer_ids(PROMPT, LENGTH)
    assert heard.done.completion_tokens == LENGTH
    assert heard.writers.count(1) > LENGTH / 2
    assert set(heard.writers) <= {1, 2}
    for ahead in heard.expected:
        assert ahead.i == heard.ids[ahead.p : ahead.p + len(ahead.i)]


@pytest.mark.parametrize("wrong_every", [2, 5, 20])
@pytest.mark.parametrize("draft", [False, True])
async def test_a_middle_that_errs_is_corrected(tiers: Tiers, wrong_every: int, draft: bool) -> None:
    tiers.middle.wrong_every = wrong_every
    tiers.cloud.step_s = 0.01
    right = answer_ids(PROMPT, LENGTH)
    async with connected(tiers.gateway.url) as device:
        await device.put(through(s=1, tokens=LENGTH))
        heard = await whole(device, draft, right)
    assert heard.ids == right
    assert len(tiers.middle.bodies) > 1, "it went on from corrected text"
    for body in tiers.middle.bodies:
        text = body["prompt"][len(PROMPT) :]
        assert len(text) + body["max_tokens"] == LENGTH
    if draft:
        assert 0 in heard.writers


async def test_the_lead_is_bounded_and_goes_on_without_gaps(tiers: Tiers) -> None:
    tiers.cloud.gate.clear()
    async with connected(tiers.gateway.url) as device:
        await device.put(through(s=1, tokens=LENGTH))
        expected = list[int]()
        while len(expected) < 64:
            frame = await device.get()
            if isinstance(frame, wire.Ahead):
                assert frame.p == len(expected)
                expected += frame.i
        assert len(expected) == 64
        await soon(lambda: tiers.middle.running == 0, "the middle pauses")
        tiers.cloud.gate.set()
        heard = await whole(device)
    assert heard.ids == answer_ids(PROMPT, LENGTH)
    assert expected == heard.ids[:64]
    assert all(frame.p >= 64 for frame in heard.expected)


@pytest.mark.parametrize("draft", [False, True])
async def test_a_middle_that_breaks_costs_nothing_but_its_help(tiers: Tiers, draft: bool) -> None:
    tiers.middle.breaks_after, tiers.middle.breaks_for_good = 20, True
    right = answer_ids(PROMPT, LENGTH)
    async with connected(tiers.gateway.url) as device:
        await device.put(through(s=1, tokens=LENGTH))
        heard = await whole(device, draft, right)
    assert heard.ids == right
    if draft:
        assert heard.writers[-20:].count(0) > 0, "drafts go straight to the cloud then"


async def test_a_middle_that_never_says_anything_holds_nobody_up(tiers: Tiers) -> None:
    tiers.middle.gate.clear()
    right = answer_ids(PROMPT, LENGTH)
    async with connected(tiers.gateway.url) as device:
        await device.put(through(s=1, tokens=LENGTH))
        await device.put(wire.Draft(s=1, p=0, i=right[:8]))
        heard = await whole(device, True, right)
    assert heard.ids == right
    assert 0 in heard.writers


async def test_a_slow_middle_is_led_by_what_the_cloud_says(tiers: Tiers) -> None:
    tiers.middle.step_s, tiers.cloud.step_s = 0.02, 0.002
    async with connected(tiers.gateway.url) as device:
        await device.put(through(s=1, tokens=LENGTH))
        heard = await whole(device)
    assert heard.ids == answer_ids(PROMPT, LENGTH)


async def test_a_cancelled_answer_ends_at_every_tier(tiers: Tiers) -> None:
    tiers.cloud.gate.clear()
    async with connected(tiers.gateway.url) as device:
        await device.put(through(s=1, tokens=2000))
        await device.until(wire.Ahead)
        await device.put(wire.Cancel(1))
        assert (await device.until(wire.Done)).reason == "cancelled"
        await soon(lambda: tiers.middle.running == tiers.cloud.running == 0, "both give up")


def ask(tiers: Tiers, **fields: Any) -> Any:
    body = {
        "model": "tierflow-edge-cloud",
        "prompt": PROMPT,
        "max_tokens": LENGTH,
        "temperature": 0,
    }
    reply = httpx.post(tiers.gateway.url + "/v1/completions", json={**body, **fields}, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply


def written_by(tiers: Tiers, tier: str) -> float:
    page = httpx.get(tiers.gateway.url + "/metrics").text
    return metric_in(page, "tierflow_chain_tokens_total", chain="edge-cloud", tier=tier)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wrong_every", [0, 5])
def test_a_caller_without_a_device_gets_the_clouds_answer_with_the_edges_help(
    tiers: Tiers, stream: bool, wrong_every: int
) -> None:
    tiers.middle.wrong_every = wrong_every
    tiers.cloud.step_s = 0.02
    before = written_by(tiers, "edge")
    reply = ask(tiers, stream=stream, return_token_ids=True)
    if stream:
        events = [line[6:] for line in reply.text.splitlines() if line.startswith("data: {")]
        choices = [choice for event in events for choice in json.loads(event)["choices"]]
        ids = [token for choice in choices for token in choice["token_ids"]]
    else:
        ids = reply.json()["choices"][0]["token_ids"]
    assert ids == answer_ids(PROMPT, LENGTH)
    assert tiers.cloud.bodies[-1]["model"] == "rill-cloud"
    eventually(lambda: written_by(tiers, "edge") > before + LENGTH / 4, "the edge has written some")


def test_an_edge_that_is_gone_leaves_a_caller_the_clouds_answer(tiers: Tiers) -> None:
    tiers.middle.refuses = 503
    reply = ask(tiers, return_token_ids=True)
    assert reply.json()["choices"][0]["token_ids"] == answer_ids(PROMPT, LENGTH)


def test_the_chain_is_listed_among_the_models(tiers: Tiers) -> None:
    models = httpx.get(tiers.gateway.url + "/v1/models").json()["data"]
    assert "tierflow-edge-cloud" in [model["id"] for model in models]


@pytest.mark.parametrize("wrong", [(0, 0), (5, 0), (0, 5), (3, 7)])
def test_a_chain_may_have_several_models_in_the_middle(
    three_models: Tiers, wrong: tuple[int, int]
) -> None:
    lower, upper = three_models.lower, three_models.middle
    assert lower is not None
    lower.wrong_every, upper.wrong_every = wrong
    reply = ask(three_models, model="tierflow-three", return_token_ids=True)
    assert reply.json()["choices"][0]["token_ids"] == answer_ids(PROMPT, LENGTH)
    assert lower.bodies and upper.bodies
    eventually(lambda: lower.running == upper.running == 0, "no work is left")
    page = httpx.get(three_models.gateway.url + "/metrics").text
    name, chain = "tierflow_chain_tokens_total", "rill-edge-rill-middle-rill-cloud"
    assert metric_in(page, name, chain=chain, tier="rill-edge") > 0


def test_a_model_in_the_middle_that_is_gone_is_passed_over(three_models: Tiers) -> None:
    three_models.middle.refuses = 503
    reply = ask(three_models, model="tierflow-three", return_token_ids=True)
    assert reply.json()["choices"][0]["token_ids"] == answer_ids(PROMPT, LENGTH)
