"""What is known of an endpoint follows the engine: over real sockets, one scrape at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from gateway.adapters.endpoints.scraper import MODELS_EVERY, Scraper
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.fingerprint import TokenizerCheck
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, EndpointState, Probe, ServedModel
from tests.contract.scripted_engine import read_request, scripted_engine
from tests.unit.gateway.build import LIMITS
from tests.unit.gateway.fakes import SteppingClock

pytestmark = pytest.mark.anyio

FAMILY = ("rill-edge", "rill-cloud")


@dataclass
class Pages:
    """What the engine answers, by path; `None` answers nothing at all."""

    model: str = "rill-edge"
    tokens: list[int] | None = field(default_factory=lambda: [1, 2, 3])
    tokenize: bytes | None = None
    chats: int = 200
    """The status of a chat's tokens."""
    health: int | None = 200
    metrics: str | None = ""
    models: bytes | None = None
    models_status: int = 200

    def answer(self, path: str, body: bytes = b"") -> tuple[int, bytes] | None:
        if path == "/health":
            return None if self.health is None else (self.health, b"")
        if path == "/v1/models":
            listed = {"data": [{"id": self.model, "max_model_len": 2048}]}
            return self.models_status, self.models or json.dumps(listed).encode()
        if path == "/metrics":
            return None if self.metrics is None else (200, self.metrics.encode())
        if path == "/tokenize" and b"messages" in body and self.chats != 200:
            return self.chats, b"{}"
        if path == "/tokenize" and self.tokenize is not None:
            return 200, self.tokenize
        if path == "/tokenize" and self.tokens is not None:
            return 200, json.dumps({"tokens": self.tokens}).encode()
        return 404, b"{}"


@asynccontextmanager
async def engine(pages: Pages) -> AsyncIterator[Endpoint]:
    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        while (request := await read_request(reader))[0] and (
            answer := pages.answer(request[0].split(b" ")[1].decode(), request[1])
        ):
            status, body = answer
            writer.write(b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n" % (status, len(body)))
            writer.write(body)
            await writer.drain()
        await reader.read()

    async with scripted_engine(script) as endpoint:
        yield endpoint


class Watch:
    """A scraper over some engines, driven by hand."""

    def __init__(self, states: list[EndpointState], client: AiohttpModelServer) -> None:
        self.states = states
        self.tokenizers = TokenizerCheck(FAMILY, client, 2.0)
        self.came_up: list[EndpointState] = []
        self.went_down: list[str] = []
        self.scraper = Scraper(
            client=client,
            clock=SteppingClock(),
            tokenizers=self.tokenizers,
            up=self.came_up.append,
            down=self.goes_down,
            interval_s=1.0,
            timeout_s=0.25,
            failures=2,
        )

    def goes_down(self, state: EndpointState, problem: str) -> None:
        state.healthy = False
        self.went_down.append(problem)

    async def look(self, times: int = 1) -> EndpointState:
        for _ in range(times):
            for state in self.states:
                await self.scraper.scrape(state)
        return self.states[-1]


@asynccontextmanager
async def watching(*all_pages: Pages) -> AsyncIterator[Watch]:
    async with AsyncExitStack() as stack:
        client = AiohttpModelServer(connect_timeout_s=2.0, api_keys={})
        stack.push_async_callback(client.close)
        endpoints = [await stack.enter_async_context(engine(pages)) for pages in all_pages]
        yield Watch(
            [EndpointState(endpoint=endpoint, limits=LIMITS) for endpoint in endpoints], client
        )


async def test_a_good_engine_is_up_with_its_models_and_limits() -> None:
    async with watching(Pages()) as watch:
        state = await watch.look()
    assert state.healthy and state.seen
    assert state.models["rill-edge"].max_model_len == 2048


async def test_one_missed_look_is_forgiven_and_two_are_not() -> None:
    pages = Pages()
    async with watching(pages) as watch:
        await watch.look()
        pages.health = 500
        assert (await watch.look()).healthy
        state = await watch.look()
        assert not state.healthy
        assert state.problem == "/health answered 500"
        pages.health = 200
        assert (await watch.look()).healthy


async def test_an_engine_that_hangs_is_out_and_says_why() -> None:
    async with watching(Pages(health=None)) as watch:
        state = await watch.look()
    assert not state.healthy
    assert "no answer in 0.25 s" in state.problem


async def test_an_engine_that_is_gone_is_out_and_says_why() -> None:
    client = AiohttpModelServer(connect_timeout_s=2.0, api_keys={})
    nobody = EndpointState(
        endpoint=Endpoint(
            id="127.0.0.1:1",
            url="http://127.0.0.1:1",
            pool="edge",
            tier=Tier.EDGE,
            probe=Probe.ENGINE,
        ),
        limits=LIMITS,
    )
    state = await Watch([nobody], client).look()
    await client.close()
    assert not state.healthy
    assert "ClientConnectorError" in state.problem


@pytest.mark.parametrize("models", [b"{}", b"[]", b"no json", b'{"data":[]}', b'{"data":[{}]}'])
async def test_whatever_an_engine_sends_its_watcher_lives_on(models: bytes) -> None:
    pages = Pages(models=models)
    async with watching(pages) as watch:
        assert not (await watch.look()).healthy
        pages.models = None
        assert (await watch.look()).healthy


async def test_the_load_is_the_engines_own() -> None:
    pages = Pages(metrics="vllm:num_requests_running 3\nvllm:num_requests_waiting 9\n")
    async with watching(pages) as watch:
        state = await watch.look()
    assert (state.running, state.waiting, state.saturated) == (3, 9, True)


@pytest.mark.parametrize(
    "metrics", [None, "vllm:num_requests_running +Inf\nvllm:kv_cache_usage_perc NaN\n"]
)
async def test_an_engine_without_usable_metrics_serves(metrics: str | None) -> None:
    pages = Pages(metrics="vllm:num_requests_running 3\n")
    async with watching(pages) as watch:
        assert (await watch.look()).running == 3
        pages.metrics = metrics
        state = await watch.look(2)
    assert state.healthy
    assert (state.running, state.waiting, state.kv_use) == (0, 0, 0.0)


async def test_metrics_that_hang_are_not_waited_for_at_every_look() -> None:
    pages = Pages(metrics=None)
    async with watching(pages) as watch:
        await watch.look(2)
        pages.metrics = "vllm:num_requests_running 3\n"
        assert (await watch.look()).running == 0
        assert (await watch.look(MODELS_EVERY)).running == 3


async def test_decode_speed_is_learned_between_two_looks() -> None:
    name = "vllm:inter_token_latency_seconds"
    pages = Pages(metrics=f"{name}_sum 1.0\n{name}_count 10\n")
    async with watching(pages) as watch:
        await watch.look()
        pages.metrics = f"{name}_sum 3.0\n{name}_count 20\n"
        state = await watch.look()
    # 0.1 s a token before the first look, 0.2 s since; a new value has a weight of a fifth.
    assert state.decode_s_per_token.mean == pytest.approx(0.12)


async def test_an_engine_whose_token_counts_grow_is_at_work() -> None:
    name = "vllm:inter_token_latency_seconds_count"
    pages = Pages(metrics="")
    async with watching(pages) as watch:
        state = await watch.look(2)
        assert not state.counts_tokens
        pages.metrics = f"{name} 10\n"
        state = await watch.look()
        at_work = state.answered_at
        assert state.counts_tokens and at_work > 0.0
        assert (await watch.look()).answered_at == at_work
        pages.metrics = f"{name} 11\n"
        assert (await watch.look()).answered_at > at_work


async def test_a_model_that_an_engine_swaps_is_noticed() -> None:
    pages = Pages()
    async with watching(pages) as watch:
        await watch.look()
        pages.model = "other"
        state = await watch.look(MODELS_EVERY)
    assert set(state.models) == {"other"}


async def test_a_family_whose_tokenizers_differ_is_refused_with_both_fingerprints() -> None:
    edge, cloud = Pages("rill-edge", [1, 2]), Pages("rill-cloud", [1, 3])
    async with watching(edge, cloud) as watch:
        refused = await watch.look()
        assert watch.states[0].healthy and not refused.healthy
        assert "the tokenizer of rill-cloud (fingerprint " in refused.problem
        assert "differs from that of rill-edge (fingerprint " in refused.problem
        cloud.tokens = [1, 2]
        assert (await watch.look()).healthy


async def test_a_model_outside_the_family_may_have_any_tokenizer() -> None:
    async with watching(Pages("rill-edge", [1, 2]), Pages("stranger", [7])) as watch:
        assert (await watch.look()).healthy


async def test_a_member_without_a_chat_template_serves_and_is_named_until_it_has_one() -> None:
    edge, stranger = Pages("rill-edge", chats=400), Pages("stranger", chats=400)
    async with watching(edge, stranger) as watch:
        assert (await watch.look()).healthy and watch.states[0].healthy
        assert watch.tokenizers.without_template == {"rill-edge"}
        edge.chats = 500
        await watch.look(MODELS_EVERY)
        edge.chats = 200
        await watch.look(MODELS_EVERY)
        assert watch.tokenizers.without_template == set()


async def test_of_a_member_that_has_left_nothing_is_said() -> None:
    async with watching(Pages("rill-edge", chats=400)) as watch:
        watch.tokenizers.forget(await watch.look())
        assert watch.tokenizers.without_template == set()


async def test_an_engine_that_cannot_be_checked_serves_and_is_named() -> None:
    async with watching(Pages(tokens=None)) as watch:
        assert (await watch.look()).healthy
        assert watch.tokenizers.unchecked == {"rill-edge"}


@pytest.mark.parametrize(
    "answer", [b'{"tokens": []}', b'{"ids": [1]}', b'{"tokens": ["a"]}', b"[1, 2]", b"no json"]
)
async def test_a_tokenize_of_another_dialect_is_no_reference_and_puts_nobody_out(
    answer: bytes,
) -> None:
    odd, plain = Pages("rill-edge", tokenize=answer), Pages("rill-cloud", [1, 2])
    async with watching(odd, plain) as watch:
        assert (await watch.look()).healthy
        assert watch.states[0].healthy
        assert watch.states[0].tokenizer is None
        assert watch.tokenizers.unchecked == {"rill-edge"}


async def test_who_is_down_is_told_with_the_cause_also_at_the_first_look() -> None:
    pages = Pages(health=500)
    async with watching(pages) as watch:
        await watch.look(2)
        assert watch.went_down == ["/health answered 500"]
        pages.health = 200
        await watch.look()
        pages.health = None
        await watch.look(2)
    assert watch.went_down[1:] == ["/health gave no answer in 0.25 s"]


async def test_who_came_up_is_told_once_until_it_was_down() -> None:
    pages = Pages()
    async with watching(pages) as watch:
        state = await watch.look(2)
        assert watch.came_up == [state]
        pages.health = 500
        await watch.look(2)
        pages.health = 200
        await watch.look()
        assert watch.came_up == [state, state]


def probed(watch: Watch, probe: Probe) -> EndpointState:
    endpoint = replace(watch.states[0].endpoint, probe=probe)
    watch.states = [EndpointState(endpoint=endpoint, limits=LIMITS)]
    return watch.states[0]


async def test_a_server_that_is_no_engine_is_judged_by_its_models() -> None:
    pages = Pages(health=404, tokens=None)
    async with watching(pages) as watch:
        state = probed(watch, Probe.MODELS)
        assert (await watch.look()).healthy
        assert set(state.models) == {"rill-edge"}
        pages.models = b"no json"
        assert not (await watch.look()).healthy


async def test_a_server_that_lists_no_models_is_judged_by_its_answering_at_all() -> None:
    pages = Pages(health=404, models=b"no json")
    async with watching(pages) as watch:
        state = probed(watch, Probe.ANSWERS)
        state.models = {"named": ServedModel("named")}
        assert (await watch.look()).healthy
        assert set(state.models) == {"named"}
        pages.models_status = 502
        assert not (await watch.look(2)).healthy


async def test_a_family_may_change_its_tokenizer_once_all_that_had_the_old_one_left() -> None:
    old, new = Pages("rill-edge", [1, 2]), Pages("rill-cloud", [1, 3])
    async with watching(old, new) as watch:
        assert not (await watch.look()).healthy
        watch.tokenizers.forget(watch.states[0])
        await watch.scraper.scrape(watch.states[1])
        assert watch.states[1].healthy
