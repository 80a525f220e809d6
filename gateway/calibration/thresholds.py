"""Thresholds of confidence at which a cascade keeps a share of the upper tier's accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from gateway.calibration.cost_curve import Sample, accuracies, loss
from gateway.core.cascade.predictor import ConfidenceModel

Z = 3.0
"""Standard errors of margin, one side. A target is a promise on questions yet to come. Near a
strict one few answers lose, so that their mean is far from normal: the 2.33 that would be 99 % of a
normal distribution are too few."""


def threshold_for(
    model: ConfidenceModel, samples: Sequence[Sample], quality: float, z: float = Z
) -> float:
    """The smallest threshold at which the cascade keeps `quality` of the upper tier's accuracy.

    Kept with a margin of `z` standard errors of the paired loss. 1.0 where none does.
    """
    _, upper = accuracies(samples)
    allowed = (1.0 - quality) * upper
    scored = sorted(((model.confidence(s.values), s) for s in samples), key=lambda p: -p[0])
    whole = sum(sample.weight for sample in samples)
    best, total, squares = 1.0, 0.0, 0.0
    for place, (score, sample) in enumerate(scored):
        total += sample.weight * loss(sample)
        squares += (sample.weight * loss(sample)) ** 2
        if place + 1 < len(scored) and scored[place + 1][0] == score:
            continue
        # The mean of what each question loses, and its standard error.
        error = math.sqrt(max(0.0, squares - total * total / len(samples))) / whole
        if total / whole + z * error <= allowed:
            best = score
    return best


def with_thresholds(
    model: ConfidenceModel, samples: Sequence[Sample], qualities: Sequence[float], z: float = Z
) -> ConfidenceModel:
    return replace(model, thresholds={q: threshold_for(model, samples, q, z) for q in qualities})
