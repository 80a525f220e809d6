"""What each size of the family is worth, and what it costs: accuracy against latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.bench.vllm_scenarios import answers, ttft
from loadtest.measure.chat import PATH, chat_body
from loadtest.measure.closed_loop import RequestSeries, Window, alternating
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import Target, post
from loadtest.measure.results import Cell, Table
from loadtest.measure.statistics import Spread

MAX_TOKENS = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The speed of a size in one repetition, one request at a time: seconds, tokens per second.

    TTFT is a median; the others are over all its answers together, since short answers would
    make a median of their own rates jump.
    """

    ttft_s: float
    tpot_s: float
    answer_s: float
    tokens_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A member of the family with what was measured of it.

    `accuracy` and `agreement` are shares, 0 to 1; the largest member agrees with itself.
    """

    tier: str
    model: str
    parameters: int
    accuracy: float
    agreement: float
    speeds: Sequence[Speed]

    @property
    def tpot_ms(self) -> Spread:
        return Spread.of(1e3 * speed.tpot_s for speed in self.speeds)

    @property
    def answer_ms(self) -> Spread:
        return Spread.of(1e3 * speed.answer_s for speed in self.speeds)


def measure_speeds(
    gateway: Target, models: Mapping[str, str], questions: Sequence[str]
) -> dict[str, Speed]:
    """One repetition: every size answers the same questions in turn, through the gateway.

    `models` maps a tier to its served model.
    """
    series = [
        RequestSeries(gateway, [_request(model, question) for question in questions])
        for model in models.values()
    ]
    windows = alternating(series, rounds=len(questions))
    return {tier: _speed(window) for tier, window in zip(models, windows, strict=True)}


def _speed(window: Window) -> Speed:
    streams = answers(window)
    timed = [stream for stream in streams if stream.tpot is not None]
    decoded = sum(stream.tokens - 1 for stream in timed)
    total_s = sum(exchange.latency for exchange in window.exchanges)
    if not decoded:
        raise BenchmarkFailure("no answer of the family had more than one token")
    return Speed(
        ttft_s=ttft(streams, 0.5),
        tpot_s=sum(s.token_times[-1] - s.token_times[0] for s in timed) / decoded,
        answer_s=total_s / len(streams),
        tokens_per_s=sum(stream.tokens for stream in streams) / total_s,
    )


def _request(model: str, question: str) -> bytes:
    return post(PATH, chat_body(model, question, max_tokens=MAX_TOKENS, stream=True))


def table(sizes: Sequence[Size]) -> Table:
    columns = (
        "tier", "model", "parameters", "accuracy %", "agreement %",
        "TTFT ms", "TPOT ms", "answer ms", "tokens/s",
    )  # fmt: skip
    rows: list[Sequence[Cell]] = [
        [
            size.tier,
            size.model,
            size.parameters,
            100 * size.accuracy,
            100 * size.agreement,
            Spread.of(1e3 * speed.ttft_s for speed in size.speeds),
            size.tpot_ms,
            size.answer_ms,
            Spread.of(speed.tokens_per_s for speed in size.speeds),
        ]
        for size in sizes
    ]
    title = "The family: quality, and speed through the gateway at one request at a time"
    return Table(name="quality", title=title, columns=columns, rows=rows)
