"""From features to the probability that an answer is right, and from which one it is accepted.

A predictor is data, a JSON file: for each method of confidence (`logprobs`, `agreement`,
`self-check`, and `mean` for answers of which only the mean is known) a logistic model on
standardised features, an optional monotone curve that calibrates what it gives (isotonic
regression; Zadrozny and Elkan, 2002), floors below which no answer passes, and a threshold for each
quality target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.core.cascade.features import FEATURES, WINDOW, has_features

VERSION = 1
BY_MEAN = "mean"
METHODS = ("logprobs", "agreement", "self-check", BY_MEAN)
LINKS = ("logistic", "exp")
Link = Literal["logistic", "exp"]


class PredictorProblem(ValueError):
    """What is wrong with a predictor's file; names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One feature's part: weight x (value - centre) / scale."""

    feature: str
    weight: float
    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceModel:
    """A model of the confidence in an answer, out of its features. `link` turns the sum of the
    terms and the bias into 0..1: logistic, or exp for a sum of log-probabilities. `curve`:
    (confidence, calibrated), rising in both. `thresholds`: quality target (share of the top tier's
    accuracy) -> the least confidence that is accepted."""

    terms: Sequence[Term]
    bias: float = 0.0
    link: Link = "logistic"
    curve: Sequence[tuple[float, float]] = ()
    floors: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[float, float] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(term.feature for term in self.terms)

    def confidence(self, values: Mapping[str, float]) -> float:
        """0 to 1; 0 where a feature that it needs is not known."""
        if not has_features(values, self.features):
            return 0.0
        total = self.bias + math.fsum(
            term.weight * (values[term.feature] - term.centre) / term.scale for term in self.terms
        )
        return calibrated(link(self.link, total), self.curve)

    def below_floor(self, values: Mapping[str, float]) -> str | None:
        """The first feature that is below its floor."""
        for name, least in self.floors.items():
            if values.get(name, least) < least:
                return name
        return None

    def threshold(self, quality: float) -> float:
        """Of the nearest target that is at least as high; 1.0 where none is: nothing passes."""
        enough = [target for target in self.thresholds if target >= quality - 1e-9]
        return self.thresholds[min(enough)] if enough else 1.0


@dataclass(frozen=True, slots=True)
class Predictor:
    """A predictor: a confidence model for each method, fitted to one pair of models. `pair`: the
    names of the lower and the upper model that it was fitted for, empty for any."""

    models: Mapping[str, ConfidenceModel]
    window: int = WINDOW
    pair: tuple[str, str] = ("", "")

    def model(self, method: str) -> ConfidenceModel | None:
        return self.models.get(method)


def link(kind: Link, total: float) -> float:
    if kind == "exp":
        return math.exp(min(0.0, total))
    if total >= 0.0:
        return 1.0 / (1.0 + math.exp(-total))
    power = math.exp(max(total, -700.0))
    return power / (1.0 + power)


def calibrated(confidence: float, curve: Sequence[tuple[float, float]]) -> float:
    """Linear between the curve's points, level beyond them."""
    if not curve:
        return confidence
    if confidence <= curve[0][0]:
        return curve[0][1]
    for (left, low), (right, high) in zip(curve, curve[1:], strict=False):
        if confidence <= right:
            if right <= left:
                return low
            # Rounding must not lead past the next point.
            return min(high, low + (high - low) * (confidence - left) / (right - left))
    return curve[-1][1]


def to_data(predictor: Predictor) -> dict[str, Any]:
    """As it is written to a file."""
    return {
        "version": VERSION,
        "pair": {"lower": predictor.pair[0], "upper": predictor.pair[1]},
        "window": predictor.window,
        "methods": {name: _model_data(model) for name, model in predictor.models.items()},
    }


def _model_data(model: ConfidenceModel) -> dict[str, Any]:
    return {
        "link": model.link,
        "bias": model.bias,
        "terms": [
            {"feature": t.feature, "weight": t.weight, "centre": t.centre, "scale": t.scale}
            for t in model.terms
        ],
        "curve": [list(point) for point in model.curve],
        "floors": dict(model.floors),
        "thresholds": {f"{target:g}": value for target, value in model.thresholds.items()},
    }


def from_data(data: Any) -> Predictor:
    """Raises PredictorProblem."""
    try:
        if data["version"] != VERSION:
            raise PredictorProblem(f"version: {data['version']!r}; this gateway reads {VERSION}")
        pair = data.get("pair", {})
        window = int(data["window"])
        models = {str(name): _model(str(name), each) for name, each in data["methods"].items()}
        names = (str(pair.get("lower", "")), str(pair.get("upper", "")))
    except PredictorProblem:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise PredictorProblem(f"not a predictor: {type(error).__name__} at {error}") from error
    if not 1 <= window <= 256:
        raise PredictorProblem("window: 1 to 256 tokens")
    if not models.keys() & {"logprobs", BY_MEAN}:
        raise PredictorProblem(f"methods: logprobs is needed, or {BY_MEAN} for devices")
    return Predictor(models, window, names)


def _model(name: str, data: Mapping[str, Any]) -> ConfidenceModel:
    if name not in METHODS:
        raise PredictorProblem(f"methods: unknown {name!r}; known: {', '.join(METHODS)}")
    where = f"methods.{name}"
    terms = [
        Term(
            feature=str(t["feature"]),
            weight=_number(t["weight"]),
            centre=_number(t["centre"]),
            scale=_number(t["scale"]),
        )
        for t in data["terms"]
    ]
    for term in terms:
        if name == BY_MEAN and term.feature != "mean":
            raise PredictorProblem(f"{where}: {term.feature} is not known of a device's answer")
        if term.feature not in FEATURES:
            raise PredictorProblem(f"{where}: unknown feature {term.feature!r}")
        if term.scale <= 0.0:
            raise PredictorProblem(f"{where}: the scale of {term.feature} must be above 0")
    kind: Link = data.get("link", "logistic")
    if kind not in LINKS:
        raise PredictorProblem(f"{where}.link: one of {', '.join(LINKS)}")
    curve = [(_number(x), _number(y)) for x, y in data.get("curve", ())]
    if any(b < a for a, b in zip(curve, curve[1:], strict=False)):
        raise PredictorProblem(f"{where}.curve: must rise")
    floors = {str(key): _number(value) for key, value in data.get("floors", {}).items()}
    thresholds = {float(key): _number(value) for key, value in data["thresholds"].items()}
    if any(not 0.0 <= value <= 1.0 for value in thresholds.values()):
        raise PredictorProblem(f"{where}.thresholds: 0 to 1")
    return ConfidenceModel(
        terms=terms,
        bias=_number(data["bias"]),
        link=kind,
        curve=curve,
        floors=floors,
        thresholds=thresholds,
    )


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise PredictorProblem("numbers must be finite")
    return number
