"""Fits a predictor's model to answers of which it is known whether they were right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.calibration import logistic
from gateway.calibration.cost_curve import Sample
from gateway.core.cascade.features import has_features
from gateway.core.cascade.predictor import ConfidenceModel, Term


class TooLittle(ValueError):
    """Outcomes from which nothing can be learned; the message says why."""


def fit(samples: Sequence[Sample], names: Sequence[str], l2: float = 1.0) -> ConfidenceModel:
    """P(the lower tier is right), logistic in the standardised features `names`; `l2` as in
    `logistic.fitted`. Raises TooLittle."""
    right = [1.0 if sample.lower_right else 0.0 for sample in samples]
    if not 0.0 < sum(right) < len(right):
        raise TooLittle("the lower tier's answers must be right at times and wrong at times")
    centres, scales = _standards([[sample.values[name] for name in names] for sample in samples])
    rows = [
        [*(
            (sample.values[name] - centre) / scale
            for name, centre, scale in zip(names, centres, scales, strict=True)
        ), 1.0]
        for sample in samples
    ]  # fmt: skip
    weights = logistic.fitted(rows, right, [sample.weight for sample in samples], l2)
    terms = [
        Term(feature=name, weight=weight, centre=centre, scale=scale)
        for name, weight, centre, scale in zip(names, weights, centres, scales, strict=False)
    ]
    return ConfidenceModel(terms=terms, bias=weights[-1])


def _standards(rows: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """Each column's mean and standard deviation, which is 1 where the column never varies."""
    count = len(rows)
    columns = list(zip(*rows, strict=True))
    centres = [math.fsum(column) / count for column in columns]
    spreads = [
        math.sqrt(math.fsum((value - centre) ** 2 for value in column) / count)
        for column, centre in zip(columns, centres, strict=True)
    ]
    return centres, [spread if spread > 1e-12 else 1.0 for spread in spreads]


def usable(samples: Sequence[Sample], names: Sequence[str]) -> list[Sample]:
    """Those whose features are all known."""
    return [sample for sample in samples if has_features(sample.values, names)]
