"""Which drafts a step verifies: those with which it brings the most tokens per second. Pure.

Goodput as of Liu et al., "Optimizing Speculative Decoding for Serving Large Language Models Using
Goodput" (2024, arXiv 2406.14066): tokens that are expected to come out of a step, over the time
that it is expected to take. Here each request has a length of its own, rather than all the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain


def choose(
    chances: Sequence[Sequence[float]],
    *,
    requests: int,
    seconds: Sequence[float],
    longest_s: float = float("inf"),
    least_gain: float = 1.0,
    worth: float = 1.0,
) -> list[int]:
    """How many draft tokens of each request to verify, for the highest goodput.

    `chances` are, for each request with drafts, each token's chance to come out, never rising;
    `worth` is how much of such chances came true so far. `requests` counts all that bring a token
    of their own, with drafts or without. `seconds[d]` is the time of a step with d draft tokens in
    all; there are no more than its length allows, nor so many that a step would take over
    `longest_s`. None are chosen where the goodput is less than `least_gain` times that without any.

    For each number of tokens the best are those with the highest chances, whichever request they
    belong to: chances fall along a request's drafts, so these are always the first of each. All
    numbers are tried, so that the choice is the best for times of any shape. (Where they are
    convex, one could stop at the first token that lowers the goodput.) Of equals the fewest.
    """
    ranked = sorted(chain.from_iterable(chances), reverse=True)[: len(seconds) - 1]
    plain = requests / seconds[0] if seconds[0] > 0 else 0.0
    best, number = plain, 0
    for count, gained in enumerate(accumulate(ranked), 1):
        taken_s = seconds[count]
        if taken_s > longest_s:
            continue
        # Without any time there is nothing to lose.
        tokens = requests + worth * gained
        if taken_s <= 0 or tokens > best * taken_s:
            best, number = tokens / taken_s if taken_s > 0 else 0.0, count
    if best < least_gain * plain:
        number = 0
    return first_of_each(chances, ranked[:number])


def first_of_each(chances: Sequence[Sequence[float]], chosen: Sequence[float]) -> list[int]:
    """How many tokens of each request are among the `chosen`, the highest of all chances."""
    if not chosen:
        return [0] * len(chances)
    least = chosen[-1]
    # As chances fall, those above the least are found by bisection over their negatives.
    counts = [bisect_left(row, -least, key=float.__neg__) for row in chances]
    equals = len(chosen) - sum(counts)
    for index, row in enumerate(chances):
        while equals and counts[index] < len(row) and row[counts[index]] == least:
            counts[index] += 1
            equals -= 1
    return counts
