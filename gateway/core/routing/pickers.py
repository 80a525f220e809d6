"""Pickers turn scores into one endpoint. Add one: a function and a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Picker = Callable[[Sequence[float], Callable[[], float]], int]
"""(scores, at least one; uniform in [0, 1)) -> the index of the chosen one."""


def max_score(scores: Sequence[float], uniform: Callable[[], float]) -> int:
    """The best; among equals any, with the same chance."""
    best = max(scores)
    ties = [index for index, score in enumerate(scores) if score >= best - 1e-9]
    return ties[int(uniform() * len(ties))] if len(ties) > 1 else ties[0]


def weighted_random(scores: Sequence[float], uniform: Callable[[], float]) -> int:
    """With a chance in proportion to the score: spreads what `max_score` would pile up."""
    total = sum(scores)
    if total <= 0.0:
        return int(uniform() * len(scores))
    threshold = uniform() * total
    for index, score in enumerate(scores):
        threshold -= score
        if threshold < 0.0:
            return index
    return max_score(scores, uniform)


PICKERS: Mapping[str, Picker] = {
    "max_score": max_score,
    "weighted_random": weighted_random,
}
