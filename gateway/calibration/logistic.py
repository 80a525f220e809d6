"""Logistic regression with a penalty on the weights, by Newton's method."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.calibration.linear import solve
from gateway.core.cascade.predictor import link

MAX_STEPS = 50
MAX_HALVINGS = 30
CLOSE = 1e-10
"""Of the value reached: a step that gains less is the last."""


def fitted(
    rows: Sequence[Sequence[float]],
    right: Sequence[float],
    counts: Sequence[float],
    l2: float,
) -> list[float]:
    """Weights [n] of the columns of `rows` [m x n], the last of which is the bias's, all ones.

    `right` [m] is 0 or 1, `counts` [m] how often each row stands. Newton's method on the
    log-likelihood (iteratively reweighted least squares; Hastie et al., The elements of statistical
    learning, 4.4.1), with `l2`/2 times the squared weights as penalty, the bias aside.
    """
    size = len(rows[0])
    weights = [0.0] * size
    penalty = [*[l2] * (size - 1), 1e-9]

    def value(trial: Sequence[float]) -> float:
        return _penalised(rows, right, counts, trial, penalty)

    best = value(weights)
    for _ in range(MAX_STEPS):
        gradient, hessian = _derivatives(rows, right, counts, weights, penalty)
        step = solve(hessian, gradient)
        # Far from the optimum a whole step may overshoot: halve it until it helps.
        for halved in range(MAX_HALVINGS):
            trial = [w + s * 0.5**halved for w, s in zip(weights, step, strict=True)]
            if (reached := value(trial)) >= best:
                break
        else:
            return weights
        gained, weights, best = reached - best, trial, reached
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
    for row, outcome, count in zip(rows, right, counts, strict=True):
        probability = _probability(row, weights)
        spread = count * max(probability * (1.0 - probability), 1e-12)
        for i, value in enumerate(row):
            gradient[i] += count * value * (outcome - probability)
            for j in range(i + 1):
                hessian[i][j] += spread * value * row[j]
    for i in range(size):
        for j in range(i):
            hessian[j][i] = hessian[i][j]
    return gradient, hessian


def _penalised(
    rows: Sequence[Sequence[float]],
    right: Sequence[float],
    counts: Sequence[float],
    weights: Sequence[float],
    penalty: Sequence[float],
) -> float:
    """The log-likelihood less the penalty."""
    total = -0.5 * sum(p * w * w for p, w in zip(penalty, weights, strict=True))
    for row, outcome, count in zip(rows, right, counts, strict=True):
        probability = _probability(row, weights)
        total += count * math.log(max(probability if outcome else 1.0 - probability, 1e-300))
    return total


def _probability(row: Sequence[float], weights: Sequence[float]) -> float:
    """The probability that the weights give."""
    return link("logistic", sum(v * w for v, w in zip(row, weights, strict=True)))
