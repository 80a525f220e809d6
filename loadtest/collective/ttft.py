"""TTFT of a streamed collective, against the time of its slowest needed member.

The devices step at the pace of boards: otherwise, on one machine, their answers would be there
before the request has been read, and the ratio would be that of two overheads.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.collective.plan import Method, collective
from loadtest.measure.chat import ChatClient, Reply
from loadtest.measure.family import Question
from loadtest.measure.statistics import Spread, bootstrap

NANO_MS, AGX_MS = 20.0, 10.0
"""Of models of 1.7 to 3 billion parameters in 4 bits, a Jetson Orin Nano Super takes 16 to 29 ms a
token, and an AGX Orin 10 ms for the smallest, as NVIDIA and embedl publish it."""
PACES_MS = (NANO_MS, AGX_MS)
METHODS: Mapping[str, Method] = {
    "read by the server model": collective(
        "streamed, aggregated", "auto", max_members=3, aggregate="template"
    ),
    "as shipped": collective("streamed, as shipped", "auto", max_members=3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TtftResult:
    """The TTFT of one method with devices of one pace.

    Medians with 95 % bootstrap intervals, in milliseconds; `ratio` is TTFT over the time of the
    slowest needed member.
    """

    method: str
    pace_ms: float
    streams: int
    ttft_ms: Spread
    slowest_ms: Spread
    ratio: Spread


def shares(questions: Sequence[Question]) -> dict[float, Sequence[Question]]:
    """The questions of each pace. None is asked twice: the gateway keeps a question's embedding, so
    only a new one pays the full price of choosing members."""
    share = len(questions) // len(PACES_MS)
    return {pace: questions[n * share : (n + 1) * share] for n, pace in enumerate(PACES_MS)}


def measure(client: ChatClient, pace_ms: float, questions: Sequence[Question]) -> list[TtftResult]:
    """The methods share the questions likewise. Raises BenchmarkFailure."""
    replies: dict[str, list[Reply]] = {name: [] for name in METHODS}
    share = len(questions) // len(METHODS)
    for place in range(share):
        for turn, (name, method) in enumerate(METHODS.items()):
            question = questions[turn * share + place]
            replies[name].append(client.stream(method.body(question.prompt, stream=True)))
    return [_result(name, pace_ms, measured) for name, measured in replies.items()]


def worst(results: Sequence[TtftResult]) -> float:
    """The ratio of the worse method, with devices as fast as an Orin Nano."""
    return max(result.ratio.median for result in results if result.pace_ms == NANO_MS)


def _result(method: str, pace_ms: float, replies: Sequence[Reply]) -> TtftResult:
    pairs = [
        (1e3 * reply.first_s, slowest)
        for reply in replies
        if reply.first_s is not None and (slowest := slowest_needed_ms(reply)) > 0
    ]
    return TtftResult(
        method=method,
        pace_ms=pace_ms,
        streams=len(pairs),
        ttft_ms=bootstrap([first for first, _ in pairs], statistics.median),
        slowest_ms=bootstrap([slowest for _, slowest in pairs], statistics.median),
        ratio=bootstrap([first / slowest for first, slowest in pairs], statistics.median),
    )


def slowest_needed_ms(reply: Reply) -> float:
    """The time of the last member whose answer was used; 0 where there was none."""
    return max(
        (float(member["ms"]) for member in reply.members if member["outcome"] == "answered"),
        default=0.0,
    )
