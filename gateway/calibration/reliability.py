"""Confidence against the share that was right: how far they differ, and a curve that mends it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.calibration.cost_curve import Sample
from gateway.core.cascade.predictor import ConfidenceModel

MOST_POINTS = 32
"""Of a calibration curve."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about one confidence: the mean confidence, the share that was right, how many."""

    confidence: float
    right: float
    count: int


def reliability(model: ConfidenceModel, samples: Sequence[Sample], bins: int = 10) -> list[Bin]:
    """Bins of equally many answers, the least sure first."""
    scored = sorted(((model.confidence(s.values), s) for s in samples), key=lambda pair: pair[0])
    size = max(1, math.ceil(len(scored) / bins))
    return [_bin(scored[start : start + size]) for start in range(0, len(scored), size)]


def _bin(part: Sequence[tuple[float, Sample]]) -> Bin:
    total = sum(sample.weight for _, sample in part)
    return Bin(
        sum(score * sample.weight for score, sample in part) / total,
        sum(sample.weight for _, sample in part if sample.lower_right) / total,
        len(part),
    )


def expected_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (Guo et al., 2017): 0 is perfect."""
    total = sum(each.count for each in bins)
    return sum(abs(each.confidence - each.right) * each.count for each in bins) / total


def isotonic(
    model: ConfidenceModel, samples: Sequence[Sample], most: int = MOST_POINTS
) -> list[tuple[float, float]]:
    """A rising curve from confidence to the share that was right: pool adjacent violators
    (Ayer et al., 1955), as (mean confidence, share) of each pool, `most` at most."""
    scored = [(model.confidence(s.values), s) for s in samples]
    blocks: list[list[float]] = []
    for score, sample in sorted(scored, key=lambda pair: (pair[0], not pair[1].lower_right)):
        count = sample.weight
        blocks.append([count * score, count * sample.lower_right, count])
        while len(blocks) > 1 and _share(blocks[-2]) >= _share(blocks[-1]):
            _join(blocks, len(blocks) - 2)
    while len(blocks) > most:
        # The two neighbours that are closest are one: the curve stays monotone.
        _join(
            blocks,
            min(range(len(blocks) - 1), key=lambda at: _share(blocks[at + 1]) - _share(blocks[at])),
        )
    return [(total / count, hits / count) for total, hits, count in blocks]


def _join(blocks: list[list[float]], place: int) -> None:
    one, other = blocks[place : place + 2]
    blocks[place : place + 2] = [[a + b for a, b in zip(one, other, strict=True)]]


def _share(block: Sequence[float]) -> float:
    return block[1] / block[2]
