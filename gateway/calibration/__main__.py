"""Fits a predictor for the cascade to outcomes.

    python -m gateway.calibration rows.jsonl --output predictor.json

Each row is a question that both tiers answered: `features` as the gateway told or logged them,
`lower_right` and `upper_right`, or `agreed` where nobody knows what is right (the upper tier then
counts as right), `lower_tokens`, `upper_tokens`, and optionally `lower`, `upper` (models),
`weight`, and `split`: what is marked `evaluation` is not fitted to. Of a gateway's log, audited
answers stand for those whose audit was missed. A report is printed as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.calibration.cost_curve import Point, Sample, accuracies, at, at_random, sweep
from gateway.calibration.fitting import fit, usable
from gateway.calibration.reliability import expected_error, isotonic, reliability
from gateway.calibration.thresholds import Z, with_thresholds
from gateway.core.cascade.audit_weights import DONE, made_up_for
from gateway.core.cascade.features import FEATURES, FROM_TOKENS
from gateway.core.cascade.predictor import BY_MEAN, METHODS, ConfidenceModel, Predictor, to_data
from gateway.protocol.configuration.parser import Parser

QUALITIES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
LEAST_ROWS = 50
FEATURE_SETS = {
    "logprobs": ("mean", "minimum", "worst_window", "last_window", "low_share"),
    "agreement": ("mean", "minimum", "worst_window", "low_share", "agreement"),
    "self-check": ("mean", "minimum", "worst_window", "low_share", "self_check"),
    BY_MEAN: ("mean",),
}
"""Without the length: running confidence judges beginnings by the same model."""


class Refusal(Exception):
    """An input that is refused; the message names it and the fix."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        print(json.dumps(run(arguments)))
    except (Refusal, ValueError) as refusal:
        print(f"calibrate: {refusal}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"calibrate: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m gateway.calibration", description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="the predictor's file")
    parser.add_argument(
        "--window", type=int, required=True, help="that the features were made with"
    )
    parser.add_argument("--features", help=f"for logprobs, of: {', '.join(FROM_TOKENS)}")
    parser.add_argument("--l2", type=float, default=1.0, help="penalty; default: %(default)s")
    parser.add_argument(
        "--margin", type=float, default=Z, help="standard errors that a threshold stays clear by"
    )
    parser.add_argument("--isotonic", action="store_true", help="calibrate by isotonic regression")
    return parser


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fit, write the file, and report. Raises Refusal, ValueError."""
    rows = read_rows(arguments.rows)
    sets = dict(FEATURE_SETS)
    if arguments.features:
        sets["logprobs"] = tuple(arguments.features.split(","))
    for name in sets["logprobs"]:
        if name not in FEATURES:
            raise Refusal(f"--features: unknown {name!r}; known: {', '.join(FROM_TOKENS)}")
    fitted_to = [sample for split, sample in rows if split != "evaluation"]
    held_out = [sample for split, sample in rows if split == "evaluation"]
    models, report = {}, dict[str, Any]()
    for method in METHODS:
        samples = _judged(method, fitted_to, sets[method])
        if len(samples) < LEAST_ROWS:
            continue
        model = fit(samples, sets[method], arguments.l2)
        if arguments.isotonic:
            model = replace(model, curve=isotonic(model, samples))
        models[method] = with_thresholds(model, samples, QUALITIES, arguments.margin)
        told = _judged(method, held_out, sets[method]) or samples
        report[method] = described(models[method], samples, told)
    if not models.keys() & {"logprobs", BY_MEAN}:
        raise Refusal(f"{arguments.rows}: {len(fitted_to)} rows to fit to; {LEAST_ROWS} at least")
    pair = _pair(arguments.rows)
    predictor = Predictor(models, arguments.window, pair)
    arguments.output.write_text(json.dumps(to_data(predictor), indent=2) + "\n")
    return {"output": str(arguments.output), "pair": list(pair), "methods": report}


def _judged(method: str, samples: Sequence[Sample], names: Sequence[str]) -> list[Sample]:
    """Those that this method would judge: devices' answers, of which only the mean is known, are
    of other models than answers of which all is known."""
    alone = [s for s in samples if ("minimum" not in s.values) == (method == BY_MEAN)]
    return usable(alone, names)


def described(
    model: ConfidenceModel, samples: Sequence[Sample], held_out: Sequence[Sample]
) -> dict[str, Any]:
    """All of it on `held_out`."""
    lower, upper = accuracies(held_out)
    bins = reliability(model, held_out)
    return {
        "fitted_to": len(samples),
        "evaluated_on": len(held_out),
        "lower_accuracy": lower,
        "upper_accuracy": upper,
        "calibration_error": expected_error(bins),
        "reliability": [[each.confidence, each.right, each.count] for each in bins],
        "targets": {
            f"{quality:g}": _point(at(model, held_out, threshold))
            for quality, threshold in model.thresholds.items()
        },
        "curve": [_point(point) for point in sweep(model, held_out)],
        "random": [_point(at_random(held_out, share / 20)) for share in range(21)],
    }


def _point(point: Point) -> dict[str, float | None]:
    return {
        "threshold": point.threshold if point.threshold <= 1.0 else None,
        "accuracy": point.accuracy,
        "ratio": point.ratio,
        "saving": point.saving,
        "escalated": point.escalated,
    }


def read_rows(path: Path) -> list[tuple[str, Sample]]:
    """(split, sample) of each row that tells enough. Raises Refusal, OSError."""
    samples, rows = [], []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
            sample = _sample(row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refusal(f"{path}:{number}: not an outcome: {error}") from error
        rows.append(row)
        if sample is not None:
            samples.append((row, sample))
    factors = made_up_for(rows)
    return [(str(row.get("split", "")), _weighted(row, sample, factors)) for row, sample in samples]


def _weighted(row: dict[str, Any], sample: Sample, factors: Mapping[str, float]) -> Sample:
    if row.get("audit") != DONE:
        return sample
    return replace(sample, weight=sample.weight * factors[str(row.get("decision"))])


def _sample(row: dict[str, Any]) -> Sample | None:
    right = row.get("lower_right"), row.get("upper_right")
    if None in right:
        right = row.get("agreed"), True
    if right[0] is None:
        return None
    values = {str(name): float(value) for name, value in row["features"].items()}
    return Sample(
        values=values,
        lower_right=bool(right[0]),
        upper_right=bool(right[1]),
        lower_tokens=int(row.get("lower_tokens") or 1),
        upper_tokens=int(row.get("upper_tokens") or row.get("lower_tokens") or 1),
        weight=float(row.get("weight") or 1.0),
    )


def _pair(path: Path) -> tuple[str, str]:
    """The models' names, where all rows whose question went to both have the same."""
    pairs = {
        (row.get("lower") or "", row.get("upper") or "")
        for row in map(json.loads, path.read_text().splitlines())
        if _sample(row) is not None
    }
    return pairs.pop() if len(pairs) == 1 else ("", "")


if __name__ == "__main__":
    sys.exit(main())
