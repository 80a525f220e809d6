"""A streamed answer as token ids with the times at which they came."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.wire import Exchange
from loadtest.sse import DONE, EventParser, token_text

LEAST_TOKENS = 16
"""Shorter answers have no TPOT here: one late packet would be most of it."""
RESOLUTION_S = 1e-5
"""The least TPOT that is told: a short answer may arrive in one read."""


@dataclass(slots=True)
class TokenStream:
    """`chunks` are (seconds, ids) of each event that brought tokens; times are monotonic."""

    sent: float
    done: float
    chunks: list[tuple[float, list[int]]] = field(default_factory=list)
    prompt_ids: Sequence[int] = ()
    text: str = ""
    finish_reason: str | None = None
    completion_tokens: int | None = None
    tierflow: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ids(self) -> list[int]:
        return [token for _, ids in self.chunks for token in ids]

    @property
    def count(self) -> int:
        return sum(len(ids) for _, ids in self.chunks)

    @property
    def degraded(self) -> bool:
        """Whether a device had to answer, or to go on, alone."""
        return bool(self.tierflow.get("degraded"))

    @property
    def latency(self) -> float:
        return self.done - self.sent

    @property
    def ttft(self) -> float:
        """Seconds. Raises BenchmarkFailure for an answer without tokens."""
        if not self.chunks:
            raise BenchmarkFailure("an answer had no token ids")
        return self.chunks[0][0] - self.sent

    @property
    def tpot(self) -> float | None:
        """Seconds a token after the first one; None below LEAST_TOKENS."""
        if self.count < LEAST_TOKENS:
            return None
        return max((self.chunks[-1][0] - self.chunks[0][0]) / (self.count - 1), RESOLUTION_S)

    @property
    def gaps(self) -> list[float]:
        """Seconds between neighbouring chunks: the engine's steps, where nothing is drafted."""
        times = [time for time, _ in self.chunks]
        return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def read(exchange: Exchange) -> TokenStream:
    """Of a chat stream that was asked to `return_token_ids`.

    Raises BenchmarkFailure when the stream tells of an error or has no ids.
    """
    stream = TokenStream(exchange.sent, exchange.done)
    parser = EventParser()
    for when, piece in exchange.pieces:
        for data in parser.feed(piece):
            if data != DONE:
                _take(stream, when, json.loads(data))
    if not stream.chunks:
        raise BenchmarkFailure(f"an answer had no token ids: {exchange.body[:300]!r}")
    return stream


def _take(stream: TokenStream, when: float, event: Mapping[str, Any]) -> None:
    if error := event.get("error"):
        raise BenchmarkFailure(f"an answer ended in an error: {error}")
    if usage := event.get("usage"):
        stream.completion_tokens = usage.get("completion_tokens")
    stream.prompt_ids = event.get("prompt_token_ids") or stream.prompt_ids
    stream.tierflow = {**stream.tierflow, **(event.get("tierflow") or {})}
    for choice in event.get("choices") or []:
        stream.finish_reason = choice.get("finish_reason") or stream.finish_reason
        stream.text += token_text(choice)
        if ids := choice.get("token_ids"):
            stream.chunks.append((when, list(ids)))


def total_rate(streams: Sequence[TokenStream]) -> float:
    """Tokens a second over all answers together, from sending to the end of each."""
    return sum(stream.count for stream in streams) / sum(stream.latency for stream in streams)
