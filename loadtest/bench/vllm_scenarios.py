"""The gateway before real vLLM: what a user of a real engine notices of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from loadtest.bench.plan import BenchPlan
from loadtest.measure.baselines import EngineAndGateway
from loadtest.measure.chat import PATH
from loadtest.measure.closed_loop import Window
from loadtest.measure.http_client import post
from loadtest.measure.repetitions import Reading, milliseconds, ratio
from loadtest.measure.statistics import percentile
from loadtest.measure.streams import StreamedAnswer, followed
from loadtest.prompts import some_questions

CONCURRENCY = 8
TOKENS = 32
FIRST_TOKENS = 8
QUESTIONS = 8
"""Few, so that they soon lie in the engine's prefix cache, whichever side asked them first."""
RATE = f"streams of {TOKENS} tokens, c={CONCURRENCY}"


def requests(model: str, tokens: int) -> list[bytes]:
    """Streams of exactly `tokens` tokens each, so that both sides get the same work."""
    return [
        post(
            PATH,
            {
                "model": model,
                "messages": [{"role": "user", "content": question}],
                "max_tokens": tokens,
                "ignore_eos": True,
                "temperature": 0,
                "stream": True,
            },
        )
        for question in some_questions(seed=2, count=QUESTIONS)
    ]


def scenarios(
    targets: EngineAndGateway, model: str, plan: BenchPlan
) -> dict[str, Callable[[], list[Reading]]]:
    """By name; each call is one repetition."""
    return {
        "vLLM, one stream at a time": partial(one_at_a_time, targets, model, plan.engine_rounds),
        f"vLLM, {CONCURRENCY} streams at a time": partial(
            loaded, targets, model, plan.engine_window_s
        ),
    }


def one_at_a_time(targets: EngineAndGateway, model: str, rounds: int) -> list[Reading]:
    windows = targets.one_at_a_time(requests(model, FIRST_TOKENS), rounds)
    direct, ours = map(answers, windows)
    return [milliseconds("stream, c=1: TTFT p50", ttft(ours, 0.5), ttft(direct, 0.5))]


def loaded(targets: EngineAndGateway, model: str, seconds: float) -> list[Reading]:
    engine, gateway = targets.loaded(
        requests(model, TOKENS), concurrency=CONCURRENCY, seconds=seconds
    )
    direct, ours = engine.window, gateway.window
    name = f"stream, c={CONCURRENCY}"
    return [
        Reading(figure=RATE, unit="1/s", candidate=ours.rate, baseline=direct.rate, combine=ratio),
        milliseconds(f"{name}: TTFT p50", ttft(answers(ours), 0.5), ttft(answers(direct), 0.5)),
        milliseconds(f"{name}: TPOT p50", fixed_tpot(ours, 0.5), fixed_tpot(direct, 0.5)),
        milliseconds(f"{name}: TPOT p99", fixed_tpot(ours, 0.99), fixed_tpot(direct, 0.99)),
        Reading(figure=f"{name}: gateway CPU", unit="µs each", candidate=gateway.cpu_us_each),
    ]


def answers(window: Window) -> list[StreamedAnswer]:
    return [followed(exchange.sent, exchange.pieces) for exchange in window.exchanges]


def ttft(streams: Sequence[StreamedAnswer], share: float) -> float:
    """Percentile in seconds; answers without a token are left out."""
    return percentile([s.ttft for s in streams if s.ttft is not None], share)


def fixed_tpot(window: Window, share: float) -> float:
    """Percentile in seconds, of answers that have TOKENS tokens.

    Not every token has text (special ones have none), so the last one's time is that of the end.
    """
    times = []
    for exchange, stream in zip(window.exchanges, answers(window), strict=True):
        if stream.ttft is not None:
            times.append((exchange.latency - stream.ttft) / (TOKENS - 1))
    return percentile(times, share)
