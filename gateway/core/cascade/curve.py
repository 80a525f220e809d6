"""Cost against quality: what a cascade answers with at each threshold, and what chance would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.cascade.predictor import Model


@dataclass(frozen=True, slots=True)
class Sample:
    """One question that both tiers answered. Tokens are those of their answers."""

    values: Mapping[str, float]
    lower_right: bool
    upper_right: bool
    lower_tokens: int = 1
    upper_tokens: int = 1


@dataclass(frozen=True, slots=True)
class Point:
    """A cascade at one threshold, over a set of questions.

    `accuracy` 0 to 1, `ratio` that over the upper tier's; `saving`: the share of the upper tier's
    tokens that always asking it would take and this doesn't; `escalated`: share of questions.
    """

    threshold: float
    accuracy: float
    ratio: float
    saving: float
    escalated: float


def loss(sample: Sample) -> int:
    """What accepting costs in right answers: 1, 0, or -1 where only the lower tier is right."""
    return int(sample.upper_right) - int(sample.lower_right)


def at(model: Model, samples: Sequence[Sample], threshold: float) -> Point:
    accepted = [model.confidence(sample.values) >= threshold for sample in samples]
    return _point(threshold, samples, accepted)


def sweep(model: Model, samples: Sequence[Sample], most: int = 200) -> list[Point]:
    """From accepting nothing to accepting all, at `most` thresholds about equally far apart."""
    scores = sorted({model.confidence(sample.values) for sample in samples}, reverse=True)
    step = max(1, -(-len(scores) // most))
    chosen = [*scores[::step], scores[-1]] if scores else []
    return [at(model, samples, above) for above in (float("inf"), *dict.fromkeys(chosen))]


def at_random(samples: Sequence[Sample], share: float) -> Point:
    """What to expect where `share` of the questions, picked by chance, is not escalated."""
    count = len(samples)
    lower = sum(sample.lower_right for sample in samples) / count
    upper = sum(sample.upper_right for sample in samples) / count
    accuracy = share * lower + (1.0 - share) * upper
    return Point(share, accuracy, accuracy / upper if upper else 0.0, share, 1.0 - share)


def _point(threshold: float, samples: Sequence[Sample], accepted: Sequence[bool]) -> Point:
    count = len(samples)
    upper = sum(sample.upper_right for sample in samples) / count
    pairs = list(zip(samples, accepted, strict=True))
    right = sum(s.lower_right if taken else s.upper_right for s, taken in pairs)
    tokens = sum(s.upper_tokens for s in samples)
    spared = sum(s.upper_tokens for s, taken in pairs if taken)
    accuracy = right / count
    return Point(
        threshold,
        accuracy,
        accuracy / upper if upper else 0.0,
        spared / tokens if tokens else 0.0,
        1.0 - sum(accepted) / count,
    )
