"""When a streamed collective's first token comes, against its slowest needed member.

The devices step at the pace of boards: on one machine their answers would else be there before the
request has been read, and the ratio would be that of two overheads.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.collective.asking import Client, Reply
from loadtest.collective.plan import Way, collective
from loadtest.measure.spread import Spread
from loadtest.speculation.questions import Question
from loadtest.speculation.statistics import bootstrap

NANO_MS, AGX_MS = 20.0, 10.0
"""Of models of 1.7 to 3 billion parameters in 4 bits, a Jetson Orin Nano Super takes 16 to 29 ms a
token, and an AGX Orin 10 ms for the smallest, as NVIDIA and embedl publish it."""
PACES_MS = (NANO_MS, AGX_MS)
WAYS: Mapping[str, Way] = {
    "read by the server model": collective(
        "streamed, aggregated", "auto", max_members=3, aggregate="template"
    ),
    "as shipped": collective("streamed, as shipped", "auto", max_members=3),
}


@dataclass(frozen=True, slots=True)
class First:
    """Medians with 95 % bootstrap intervals; milliseconds, and TTFT over the slowest member."""

    way: str
    pace_ms: float
    streams: int
    ttft_ms: Spread
    slowest_ms: Spread
    ratio: Spread


def shares(questions: Sequence[Question]) -> dict[float, Sequence[Question]]:
    """Of each pace; no question is asked twice, as the gateway keeps embeddings: only a new one is
    chosen for at its full price."""
    each = len(questions) // len(PACES_MS)
    return {pace: questions[n * each : (n + 1) * each] for n, pace in enumerate(PACES_MS)}


def measure(client: Client, pace_ms: float, questions: Sequence[Question]) -> list[First]:
    """The ways share the questions likewise. Raises BenchmarkFailure."""
    replies: dict[str, list[Reply]] = {name: [] for name in WAYS}
    each = len(questions) // len(WAYS)
    for place in range(each):
        for turn, (name, way) in enumerate(WAYS.items()):
            replies[name].append(client.stream(way, questions[turn * each + place]))
    return [_first(name, pace_ms, found) for name, found in replies.items()]


def worst(found: Sequence[First]) -> float:
    """The ratio of the worse way, with devices as fast as an Orin Nano."""
    return max(one.ratio.median for one in found if one.pace_ms == NANO_MS)


def _first(name: str, pace_ms: float, replies: Sequence[Reply]) -> First:
    pairs = [
        (1e3 * reply.first_s, slowest)
        for reply in replies
        if reply.first_s is not None and (slowest := slowest_needed_ms(reply)) > 0
    ]
    return First(
        name,
        pace_ms,
        len(pairs),
        bootstrap([first for first, _ in pairs], statistics.median),
        bootstrap([slowest for _, slowest in pairs], statistics.median),
        bootstrap([first / slowest for first, slowest in pairs], statistics.median),
    )


def slowest_needed_ms(reply: Reply) -> float:
    """Of the members whose answers were used, the time of the last; 0 where there was none."""
    return max(
        (float(member["ms"]) for member in reply.members if member["outcome"] == "answered"),
        default=0.0,
    )
