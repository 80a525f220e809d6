"""Continuous batching: which requests run, which wait, and how long each step takes.

A step prefills at most `max_batched_tokens` prompt tokens and gives one token (with speculation,
a few) to every running generation whose prompt is done. It lasts
`prefill tokens / prefill rate + (1 + slowdown * (n - 1)) / decode rate` for n decoding ones, so
a prompt that is being prefilled delays everybody's next token, as in a real engine.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence

from services.engine_simulator.engine.generation import Generation
from services.engine_simulator.engine.metrics import EngineMetrics
from services.engine_simulator.engine.prefix_cache import PrefixCache
from services.engine_simulator.settings import Rates


def step_seconds(rates: Rates, prefilled: int, decoding: int) -> float:
    """The length of a step that prefills so many tokens and decodes for so many generations."""
    slowdown = 1 + rates.batch_slowdown * (decoding - 1)
    decode = slowdown / rates.decode_tokens_per_s if decoding else 0.0
    return prefilled / rates.prefill_tokens_per_s + decode


class Scheduler:
    """The scheduler of one engine: first come, first served.

    At most `max_num_seqs` generations run, and only while their KV cache fits.
    """

    def __init__(self, rates: Rates, metrics: EngineMetrics, seed: int) -> None:
        self._rates = rates
        self._metrics = metrics
        self._cache = PrefixCache(rates.kv_cache_tokens)
        self._waiting: deque[Generation] = deque()
        self._running: list[Generation] = []
        self._changed = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._random = random.Random(seed)
        metrics.running.set_function(lambda: len(self._running))
        metrics.waiting.set_function(lambda: len(self._waiting))
        metrics.kv_usage.set_function(self._kv_usage)

    def submit(self, generations: Sequence[Generation]) -> None:
        now = time.monotonic()
        for generation in generations:
            generation.arrived = now
            if self._rates.unpaced:
                self._run_now(generation, now)
            else:
                self._waiting.append(generation)
        if self._waiting:
            self._wake()

    def abort(self, generations: Sequence[Generation]) -> None:
        """Frees their slots at once; finished ones are left alone."""
        for generation in generations:
            if generation.done:
                continue
            generation.done = True
            queue = self._running if generation in self._running else self._waiting
            queue.remove(generation)
        self._changed.set()

    def _run_now(self, generation: Generation, now: float) -> None:
        self._start(generation, now)
        while not generation.hung:
            if generation.emit(now, self._metrics):
                return
        self._running.append(generation)

    def _wake(self) -> None:
        self._changed.set()
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Step after step until no generation is left. While all hang, it waits for a change."""
        step_end = time.monotonic()
        while self._running or self._waiting:
            self._admit(time.monotonic())
            duration = self._plan_step()
            if duration is None:
                self._changed.clear()
                await self._changed.wait()
                step_end = time.monotonic()
                continue
            step_end = max(step_end, time.monotonic() - duration) + duration
            await asyncio.sleep(max(0.0, step_end - time.monotonic()))
            self._deliver(time.monotonic())

    def _admit(self, now: float) -> None:
        while self._waiting and len(self._running) < self._rates.max_num_seqs:
            needed = len(self._waiting[0].prompt) + 1
            held = sum(generation.kv_tokens for generation in self._running)
            if self._running and held + needed > self._rates.kv_cache_tokens:
                return
            generation = self._waiting.popleft()
            self._start(generation, now)
            self._running.append(generation)

    def _start(self, generation: Generation, now: float) -> None:
        generation.scheduled = now
        if self._rates.unpaced:
            return
        cached = self._cache.admit(generation.prompt)
        generation.prefill_left = len(generation.prompt) - cached
        self._metrics.prefix_queries.inc(len(generation.prompt))
        self._metrics.prefix_hits.inc(cached)
        self._metrics.cached_tokens.inc(cached)

    def _plan_step(self) -> float | None:
        """Takes the step's share of each prompt; returns its length in seconds, None if idle."""
        decoding = sum(not g.prefill_left and not g.hung for g in self._running)
        budget = self._rates.max_batched_tokens
        for generation in self._running:
            share = min(generation.prefill_left, budget)
            generation.prefill_left -= share
            budget -= share
        prefilled = self._rates.max_batched_tokens - budget
        if not decoding and not prefilled:
            return None
        return step_seconds(self._rates, prefilled, decoding)

    def _deliver(self, now: float) -> None:
        for generation in list(self._running):
            if generation.done or generation.prefill_left:
                continue
            for _ in range(self._tokens_this_step()):
                if generation.hung:
                    break
                if generation.emit(now, self._metrics):
                    self._running.remove(generation)
                    break

    def _tokens_this_step(self) -> int:
        drafted = self._rates.draft_tokens
        if not drafted:
            return 1
        accepted = 0
        while accepted < drafted and self._random.random() < self._rates.acceptance_rate:
            self._metrics.accepted_at[accepted].inc()
            accepted += 1
        self._metrics.drafts.inc()
        self._metrics.draft_tokens.inc(drafted)
        self._metrics.accepted_tokens.inc(accepted)
        return 1 + accepted

    def _kv_usage(self) -> float:
        held = sum(generation.kv_tokens for generation in self._running)
        return min(1.0, held / self._rates.kv_cache_tokens)
