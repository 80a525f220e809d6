"""Cost against quality: what a cascade answers with at each threshold, and what chance would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.cascade.predictor import ConfidenceModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One question that both tiers answered. Tokens are those of their answers.

    `weight` is how many questions it stands for.
    """

    values: Mapping[str, float]
    lower_right: bool
    upper_right: bool
    lower_tokens: int = 1
    upper_tokens: int = 1
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
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


def at(model: ConfidenceModel, samples: Sequence[Sample], threshold: float) -> Point:
    accepted = [model.confidence(sample.values) >= threshold for sample in samples]
    return _point(threshold, samples, accepted)


def sweep(model: ConfidenceModel, samples: Sequence[Sample], most: int = 200) -> list[Point]:
    """From accepting nothing to accepting all, at `most` thresholds about equally far apart."""
    scores = sorted({model.confidence(sample.values) for sample in samples}, reverse=True)
    step = max(1, -(-len(scores) // most))
    chosen = [*scores[::step], scores[-1]] if scores else []
    return [at(model, samples, above) for above in (float("inf"), *dict.fromkeys(chosen))]


def accuracies(samples: Sequence[Sample]) -> tuple[float, float]:
    """Of the lower and of the upper tier, 0 to 1."""
    total = sum(sample.weight for sample in samples)
    lower = sum(sample.weight for sample in samples if sample.lower_right)
    upper = sum(sample.weight for sample in samples if sample.upper_right)
    return lower / total, upper / total


def at_random(samples: Sequence[Sample], share: float) -> Point:
    """What to expect where `share` of the questions, picked by chance, is not escalated."""
    lower, upper = accuracies(samples)
    accuracy = share * lower + (1.0 - share) * upper
    return Point(
        threshold=share,
        accuracy=accuracy,
        ratio=accuracy / upper if upper else 0.0,
        saving=share,
        escalated=1.0 - share,
    )


def _point(threshold: float, samples: Sequence[Sample], accepted: Sequence[bool]) -> Point:
    _, upper = accuracies(samples)
    pairs = list(zip(samples, accepted, strict=True))
    total = sum(s.weight for s in samples)
    right = sum(s.weight for s, taken in pairs if (s.lower_right if taken else s.upper_right))
    tokens = sum(s.weight * s.upper_tokens for s in samples)
    spared = sum(s.weight * s.upper_tokens for s, taken in pairs if taken)
    accuracy = right / total
    return Point(
        threshold=threshold,
        accuracy=accuracy,
        ratio=accuracy / upper if upper else 0.0,
        saving=spared / tokens if tokens else 0.0,
        escalated=sum(s.weight for s, taken in pairs if not taken) / total,
    )
