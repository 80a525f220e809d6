"""A streamed answer as token ids with the times at which they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import Exchange
from loadtest.measure.streams import followed, gaps

LEAST_TOKENS = 16
"""Shorter answers have no TPOT here: one late packet would be most of it."""
RESOLUTION_S = 1e-5
"""The least TPOT that is reported: a short answer may arrive in one read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream:
    """The token ids of one streamed answer; `chunks` are (seconds, ids) of each event with ids.

    Times are monotonic. `tierflow` is what the device's agent tells of the answer.
    """

    sent: float
    done: float
    chunks: Sequence[tuple[float, Sequence[int]]]
    prompt_ids: Sequence[int] = ()
    text: str = ""
    finish_reason: str | None = None
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
        """Seconds from sending to the first ids."""
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
        return gaps([time for time, _ in self.chunks])


def read_token_stream(exchange: Exchange) -> TokenStream:
    """The ids of a chat stream that was asked to `return_token_ids`.

    Raises BenchmarkFailure when the stream reports an error or has no ids.
    """
    answer = followed(exchange.sent, exchange.pieces)
    if answer.error:
        raise BenchmarkFailure(f"an answer ended in an error: {answer.error}")
    if not answer.id_chunks:
        raise BenchmarkFailure(f"an answer had no token ids: {exchange.body[:300]!r}")
    return TokenStream(
        sent=exchange.sent,
        done=exchange.done,
        chunks=answer.id_chunks,
        prompt_ids=answer.prompt_ids,
        text=answer.text,
        finish_reason=answer.finish_reason,
        tierflow=answer.tierflow,
    )
