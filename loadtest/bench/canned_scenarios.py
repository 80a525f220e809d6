"""The gateway before an engine that costs next to nothing: its overhead alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from gateway.protocol.virtual_models import AUTO
from loadtest.bench.plan import BenchPlan
from loadtest.canned_engine import MODEL
from loadtest.measure.baselines import EngineAndGateway
from loadtest.measure.chat import PATH
from loadtest.measure.closed_loop import RequestSeries, Window, alternating
from loadtest.measure.http_client import post
from loadtest.measure.repetitions import Reading, milliseconds, ratio
from loadtest.measure.statistics import percentile

CONCURRENCY = 32
CHUNKS = 64
INTERVAL_MS = 5.0
PROMPT = "How many apples are left when three of ten are eaten? " * 37
"""About 2 kB, or 300 tokens of ordinary text."""

ADDED_LATENCY = "answer, c=1: p50"
TTFT = "stream, c=1: TTFT p50"
ANSWERS = f"answers, c={CONCURRENCY}"
STREAMS = f"streams of {CHUNKS} chunks, c={CONCURRENCY}"
TRANSIT = "{} paced streams: chunk transit {}"
_SENT = re.compile(rb'"sent_ns":(\d+)')


def request(model: str = MODEL, **fields: object) -> list[bytes]:
    messages = [{"role": "user", "content": PROMPT}]
    body: dict[str, object] = {"model": model, "messages": messages, "max_tokens": CHUNKS}
    return [post(PATH, body | fields)]


def scenarios(targets: EngineAndGateway, plan: BenchPlan) -> dict[str, Callable[[], list[Reading]]]:
    """By name; each call is one repetition."""
    return {
        "one request at a time": partial(one_at_a_time, targets, plan.rounds),
        f"{CONCURRENCY} answers at a time": partial(answers, targets, plan.window_s),
        f"{CONCURRENCY} streams at a time": partial(flushed_streams, targets, plan.window_s),
        **{
            f"{count} paced streams": partial(paced_streams, targets, count, plan.window_s)
            for count in plan.paced
        },
    }


def one_at_a_time(targets: EngineAndGateway, rounds: int) -> list[Reading]:
    direct, ours = targets.one_at_a_time(request(), rounds)
    # The end comes 5 ms after the only chunk: what follows must not compete with the first bytes.
    first = request(stream=True, canned="paced", max_tokens=1)
    streams = targets.one_at_a_time(first, rounds // 4)
    auto = RequestSeries(targets.gateway.target, request(AUTO))
    (virtual,) = alternating([auto], rounds=rounds)
    median = direct.latency(0.5)
    return [
        milliseconds(ADDED_LATENCY, ours.latency(0.5), median),
        milliseconds("answer, c=1: p99", ours.latency(0.99), direct.latency(0.99)),
        milliseconds("answer by tierflow-auto, c=1: p50", virtual.latency(0.5), median),
        milliseconds(TTFT, streams[1].first_piece(0.5), streams[0].first_piece(0.5)),
    ]


def answers(targets: EngineAndGateway, seconds: float) -> list[Reading]:
    direct, ours = targets.loaded(request(), concurrency=CONCURRENCY, seconds=seconds)
    return [
        Reading(
            figure=ANSWERS,
            unit="1/s",
            candidate=ours.window.rate,
            baseline=direct.window.rate,
            combine=ratio,
        ),
        Reading(figure=f"{ANSWERS}: gateway CPU", unit="µs each", candidate=ours.cpu_us_each),
    ]


def flushed_streams(targets: EngineAndGateway, seconds: float) -> list[Reading]:
    requests = request(stream=True, canned="flush")
    direct, ours = targets.loaded(requests, concurrency=CONCURRENCY, seconds=seconds)
    return [
        Reading(
            figure=STREAMS,
            unit="1/s",
            candidate=ours.window.rate,
            baseline=direct.window.rate,
            combine=ratio,
        ),
        Reading(figure=f"{STREAMS}: gateway CPU", unit="µs each", candidate=ours.cpu_us_each),
    ]


def paced_streams(targets: EngineAndGateway, count: int, seconds: float) -> list[Reading]:
    """`count` streams at the same time, each with a chunk per INTERVAL_MS.

    They start spread over one stream's length, so that they don't tick in step.
    """
    length_s = CHUNKS * INTERVAL_MS / 1e3
    requests = request(stream=True, canned="paced")
    direct, ours = targets.loaded(
        requests, concurrency=count, seconds=seconds + length_s, stagger_s=length_s / count
    )
    theirs_ms, ours_ms = transit_ms(direct.window), transit_ms(ours.window)
    first = direct.window.first_piece(0.5), ours.window.first_piece(0.5)
    return [
        *(
            Reading(
                figure=TRANSIT.format(count, f"p{share:.0f}"),
                unit="ms",
                candidate=percentile(ours_ms, share / 100),
                baseline=percentile(theirs_ms, share / 100),
            )
            for share in (50, 99)
        ),
        milliseconds(f"{count} paced streams: TTFT p50", first[1], first[0]),
        Reading(
            figure=f"{count} paced streams: gateway CPU",
            unit="% of a core",
            candidate=100 * ours.cpu_share,
        ),
    ]


def transit_ms(window: Window) -> list[float]:
    """One-way delay of every chunk, from the engine's write to our read, in milliseconds."""
    return [
        when * 1e3 - int(sent) / 1e6
        for exchange in window.exchanges
        for when, piece in exchange.pieces
        for sent in _SENT.findall(piece)
    ]
