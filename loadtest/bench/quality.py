"""What each size of the family is worth, and what it costs: accuracy against latency."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.canned import PATH
from loadtest.bench.engine import answers, ttft
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.loops import Lane, Window, alternating
from loadtest.measure.results import Cell, Table
from loadtest.measure.spread import Spread, percentile
from loadtest.measure.wire import Target, post

MAX_TOKENS = 96


@dataclass(frozen=True, slots=True)
class Speed:
    """One repetition of a size, one request at a time. Seconds, and tokens per second."""

    ttft_s: float
    tpot_s: float
    answer_s: float
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
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


def speeds(
    gateway: Target, models: Mapping[str, str], questions: Sequence[str]
) -> dict[str, Speed]:
    """One repetition: every size answers the same questions in turn, through the gateway.

    `models` maps a tier to its served model.
    """
    lanes = [
        Lane(gateway, [_request(model, text) for text in questions]) for model in models.values()
    ]
    windows = alternating(lanes, rounds=len(questions))
    return {tier: _speed(window) for tier, window in zip(models, windows, strict=True)}


def _speed(window: Window) -> Speed:
    streams = answers(window)
    return Speed(
        ttft_s=ttft(streams, 0.5),
        tpot_s=percentile([s.tpot for s in streams if s.tpot is not None], 0.5),
        answer_s=window.latency(0.5),
        tokens_per_s=percentile([s.tokens_per_s or 0.0 for s in streams], 0.5),
    )


def _request(model: str, question: str) -> bytes:
    return post(
        PATH,
        {
            "model": model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": MAX_TOKENS,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    )


def parameters(model: Path) -> int:
    """Weights in the model's safetensors files, read from their headers.

    Raises BenchmarkFailure when there are none.
    """
    files = sorted(model.glob("*.safetensors"))
    if not files:
        raise BenchmarkFailure(f"{model} has no safetensors file", 2)
    return sum(_tensor_sizes(file) for file in files)


def _tensor_sizes(file: Path) -> int:
    """The format: 8 bytes little-endian length of a JSON header, the header, the data."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for dimension in tensor["shape"]:
                size *= dimension
            total += size
    return total


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
    return Table("quality", title, columns, rows)
