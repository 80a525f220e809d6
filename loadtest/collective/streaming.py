"""When a streamed collective's first token comes, against its slowest needed member.

The devices step at a pace of 10 ms a token, as small boards do: on one machine their answers would
else be there before the request has been read, and the ratio would be that of two overheads.
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

PACE_MS = 10.0
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
    streams: int
    ttft_ms: Spread
    slowest_ms: Spread
    ratio: Spread


def measure(client: Client, questions: Sequence[Question]) -> list[First]:
    """Raises BenchmarkFailure."""
    replies: dict[str, list[Reply]] = {name: [] for name in WAYS}
    for question in questions:
        for name, way in WAYS.items():
            replies[name].append(client.stream(way, question))
    return [_first(name, found) for name, found in replies.items()]


def _first(name: str, replies: Sequence[Reply]) -> First:
    pairs = [
        (1e3 * reply.first_s, slowest)
        for reply in replies
        if reply.first_s is not None and (slowest := slowest_needed_ms(reply)) > 0
    ]
    return First(
        name,
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
