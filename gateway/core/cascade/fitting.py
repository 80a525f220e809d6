"""Fits a predictor's model to answers of which it is known whether they were right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.core.cascade.curve import Sample, accuracies, loss
from gateway.core.cascade.linear import solve
from gateway.core.cascade.predictor import Model, Term, link

MAX_STEPS = 50
CLOSE = 1e-10
Z = 1.64
"""Standard errors of margin: one side, 95 %."""

MOST_POINTS = 32
"""Of a calibration curve."""


class TooLittle(ValueError):
    """Nothing can be learned from these outcomes; says why."""


def fit(samples: Sequence[Sample], names: Sequence[str], l2: float = 1.0) -> Model:
    """P(the lower tier is right), logistic in the standardised features `names`.

    Newton's method on the log-likelihood (iteratively reweighted least squares; Hastie et al.,
    The elements of statistical learning, 4.4.1), with `l2`/2 times the squared weights as penalty,
    the bias aside. Raises TooLittle.
    """
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
    counts = [sample.weight for sample in samples]
    weights = _newton(rows, right, counts, l2)
    terms = [
        Term(name, weight, centre, scale)
        for name, weight, centre, scale in zip(names, weights, centres, scales, strict=False)
    ]
    return Model(terms, weights[-1])


def _standards(rows: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    count = len(rows)
    columns = list(zip(*rows, strict=True))
    centres = [math.fsum(column) / count for column in columns]
    spreads = [
        math.sqrt(math.fsum((value - centre) ** 2 for value in column) / count)
        for column, centre in zip(columns, centres, strict=True)
    ]
    return centres, [spread if spread > 1e-12 else 1.0 for spread in spreads]


def _newton(
    rows: Sequence[Sequence[float]],
    right: Sequence[float],
    counts: Sequence[float],
    l2: float,
) -> list[float]:
    size = len(rows[0])
    weights = [0.0] * size
    penalty = [*[l2] * (size - 1), 1e-9]

    def value(tried: Sequence[float]) -> float:
        return _penalised(rows, right, counts, tried, penalty)

    best = value(weights)
    for _ in range(MAX_STEPS):
        gradient, hessian = _derivatives(rows, right, counts, weights, penalty)
        step = solve(hessian, gradient)
        # Far from the optimum a whole step may overshoot: halve it until it helps.
        for halved in range(30):
            tried = [w + s * 0.5**halved for w, s in zip(weights, step, strict=True)]
            if (reached := value(tried)) >= best:
                break
        else:
            return weights
        gained, weights, best = reached - best, tried, reached
        if gained < CLOSE * (1.0 + abs(best)):
            return weights
    return weights


def _derivatives(
    rows: Sequence[Sequence[float]],
    right: Sequence[float],
    counts: Sequence[float],
    weights: Sequence[float],
    penalty: Sequence[float],
) -> tuple[list[float], list[list[float]]]:
    """Gradient [n] of the penalised log-likelihood, and its negative Hessian [n x n]."""
    size = len(weights)
    gradient = [-p * w for p, w in zip(penalty, weights, strict=True)]
    hessian = [[penalty[i] if i == j else 0.0 for j in range(size)] for i in range(size)]
    for row, wanted, count in zip(rows, right, counts, strict=True):
        given = _given(row, weights)
        spread = count * max(given * (1.0 - given), 1e-12)
        for i, value in enumerate(row):
            gradient[i] += count * value * (wanted - given)
            for j in range(i + 1):
                hessian[i][j] += spread * value * row[j]
    for i in range(size):
        for j in range(i):
            hessian[j][i] = hessian[i][j]
    return gradient, hessian


def _given(row: Sequence[float], weights: Sequence[float]) -> float:
    return link("logistic", sum(v * w for v, w in zip(row, weights, strict=True)))


def _penalised(
    rows: Sequence[Sequence[float]],
    right: Sequence[float],
    counts: Sequence[float],
    weights: Sequence[float],
    penalty: Sequence[float],
) -> float:
    """The log-likelihood less the penalty."""
    total = -0.5 * sum(p * w * w for p, w in zip(penalty, weights, strict=True))
    for row, wanted, count in zip(rows, right, counts, strict=True):
        given = _given(row, weights)
        total += count * math.log(max(given if wanted else 1.0 - given, 1e-300))
    return total


def isotonic(
    model: Model, samples: Sequence[Sample], most: int = MOST_POINTS
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


def threshold_for(model: Model, samples: Sequence[Sample], quality: float, z: float = Z) -> float:
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
    model: Model, samples: Sequence[Sample], qualities: Sequence[float], z: float = Z
) -> Model:
    return replace(model, thresholds={q: threshold_for(model, samples, q, z) for q in qualities})


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about one confidence: the mean confidence, the share that was right, how many."""

    confidence: float
    right: float
    count: int


def reliability(model: Model, samples: Sequence[Sample], bins: int = 10) -> list[Bin]:
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


def usable(samples: Sequence[Sample], names: Sequence[str]) -> list[Sample]:
    """Those whose features are all known."""

    def has_all(values: Mapping[str, float]) -> bool:
        return all(name in values for name in names)

    return [sample for sample in samples if has_all(sample.values)]
