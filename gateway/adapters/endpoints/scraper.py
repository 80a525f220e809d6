"""Watches every endpoint: is it there, what does it serve, how busy is it, how fast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.fingerprint import TokenizerCheck
from gateway.adapters.engines.vllm_page import EngineLoad, mean_since, parse_load
from gateway.core.ports import Clock
from gateway.core.types import EndpointState, Probe, ServedModel
from gateway.core.upstream_errors import check_failed
from gateway.errors import GatewayError

MODELS_EVERY = 10
"""Scrapes between two looks at what a healthy endpoint serves."""


@dataclass(slots=True, kw_only=True)
class _Notes:
    """The notes on one endpoint, between two scrapes."""

    load: EngineLoad = field(default_factory=EngineLoad)
    scrapes: int = 0
    missed: int = 0
    without_metrics: bool = False


class Scraper:
    """The scraper, which looks at every endpoint again and again. One task per endpoint, so that
    a hung one delays no other.

    `interval_s`, `timeout_s` in seconds; after `failures` failed scrapes in a row an endpoint is
    taken out. An endpoint that the hot path took out comes back with the next good scrape. `up` is
    told each endpoint that turns healthy, and `down` each that is out with the cause: also one that
    was never in, at the first look.
    """

    def __init__(
        self,
        *,
        client: AiohttpModelServer,
        clock: Clock,
        tokenizers: TokenizerCheck,
        up: Callable[[EndpointState], None],
        down: Callable[[EndpointState, str], None],
        interval_s: float,
        timeout_s: float,
        failures: int,
    ) -> None:
        self._client = client
        self._clock = clock
        self._tokenizers = tokenizers
        self._up = up
        self._down = down
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._failures = failures
        self._notes: dict[str, _Notes] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def watch(self, state: EndpointState) -> None:
        """Look at it now, and from now on."""
        self._tasks[state.endpoint.id] = asyncio.create_task(self._watch(state))

    def forget(self, state: EndpointState) -> None:
        """It has left: nothing writes to its state any more."""
        self._tasks.pop(state.endpoint.id).cancel()
        self._notes.pop(state.endpoint.id, None)
        self._tokenizers.forget(state)

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _watch(self, state: EndpointState) -> None:
        while True:
            await self.scrape(state)
            await asyncio.sleep(self._interval_s)

    async def scrape(self, state: EndpointState) -> None:
        """Bring one state up to date."""
        thorough = not state.healthy
        notes = self._notes.setdefault(state.endpoint.id, _Notes())
        problem = ""
        try:
            await self._check(state, notes, thorough=thorough)
            notes.missed = 0
        except GatewayError as error:
            notes.missed += 1
            if thorough or notes.missed >= self._failures:
                problem = error.message
        except Exception as error:
            # Whatever an engine sends, its watcher must live on.
            problem = f"unreadable answer: {type(error).__name__}"
        first, state.seen = not state.seen, True
        if problem:
            if state.healthy or first:
                self._down(state, problem)
            state.problem = problem
        elif not notes.missed and not state.healthy:
            state.healthy, state.problem = True, ""
            self._up(state)

    async def _check(self, state: EndpointState, notes: _Notes, *, thorough: bool) -> None:
        probe = state.endpoint.probe
        if probe is Probe.ANSWERS:
            return await self._check_answers(state)
        if probe is Probe.MODELS:
            await self._read_models(state)
        else:
            await self._check_health(state)
        notes.scrapes += 1
        if thorough or notes.scrapes % MODELS_EVERY == 0:
            if probe is Probe.ENGINE:
                await self._read_models(state)
            await self._tokenizers.check(state)
        if probe is Probe.ENGINE:
            await self._read_load(state, notes)

    async def _check_answers(self, state: EndpointState) -> None:
        status, _ = await self._client.get(state.endpoint, "/v1/models", self._timeout_s)
        if status >= 500:
            raise check_failed(state.endpoint.id, f"/v1/models answered {status}")

    async def _check_health(self, state: EndpointState) -> None:
        status, _ = await self._client.get(state.endpoint, "/health", self._timeout_s)
        if status != 200:
            raise check_failed(state.endpoint.id, f"/health answered {status}")

    async def _read_models(self, state: EndpointState) -> None:
        status, body = await self._client.get(state.endpoint, "/v1/models", self._timeout_s)
        if status != 200:
            raise check_failed(state.endpoint.id, f"/v1/models answered {status}")
        models = {
            item["id"]: ServedModel(item["id"], item.get("max_model_len"))
            for item in orjson.loads(body)["data"]
        }
        if not models:
            raise check_failed(state.endpoint.id, "/v1/models lists none")
        state.models = models

    async def _metrics(self, state: EndpointState) -> bytes | None:
        try:
            status, page = await self._client.get(state.endpoint, "/metrics", self._timeout_s)
        except GatewayError:
            return None
        return page if status == 200 else None

    async def _read_load(self, state: EndpointState, notes: _Notes) -> None:
        """An engine without usable metrics still serves; only routing knows less."""
        if notes.without_metrics and notes.scrapes % MODELS_EVERY:
            return
        page = await self._metrics(state)
        notes.without_metrics = page is None
        if page is None:
            state.running, state.waiting, state.kv_use = 0, 0, 0.0
            state.counts_tokens = False
            state.in_flight_at_scrape = state.in_flight
            return
        new, old, now = parse_load(page), notes.load, self._clock.now()
        notes.load = new
        if (new.prompt_tokens, new.decodes) != (old.prompt_tokens, old.decodes):
            state.answered_at, state.counts_tokens = now, True
        state.running, state.waiting = int(new.running), int(new.waiting)
        state.kv_use = new.kv_use
        state.in_flight_at_scrape = state.in_flight
        for estimate, value in (
            (
                state.prefill_s_per_token,
                mean_since(new.prefill_s, new.prompt_tokens, old.prefill_s, old.prompt_tokens),
            ),
            (
                state.service_s,
                mean_since(new.service_s, new.services, old.service_s, old.services),
            ),
            (
                state.decode_s_per_token,
                mean_since(new.decode_s, new.decodes, old.decode_s, old.decodes),
            ),
            (
                state.answer_tokens,
                mean_since(new.answer_tokens, new.answers, old.answer_tokens, old.answers),
            ),
        ):
            if value is not None:
                estimate.observe(value, now)
