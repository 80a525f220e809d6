"""From outcomes in a file to a predictor that the gateway loads."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.files.predictors import load_predictor
from gateway.calibration.__main__ import main, read_rows
from gateway.core.cascade.predictor import to_data


def rows(count: int = 300, **more: Any) -> Iterator[dict[str, Any]]:
    rng = random.Random(7)
    for number in range(count):
        mean = -rng.random()
        features = {"mean": mean, "minimum": 3 * mean, "worst_window": 2 * mean}
        features |= {"last_window": mean, "length": 2.0, "low_share": -mean}
        yield {
            "features": features,
            "lower_right": rng.random() < 1 + mean,
            "upper_right": rng.random() < 0.97,
            "lower_tokens": 5,
            "upper_tokens": 6,
            "lower": "small",
            "upper": "large",
            "split": "evaluation" if number % 3 == 0 else "calibration",
            **more,
        }


def calibrate(folder: Path, lines: list[dict[str, Any]], *more: str) -> tuple[int, Path]:
    source, output = folder / "rows.jsonl", folder / "predictor.json"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return main([str(source), "--output", str(output), "--window", "3", *more]), output


@pytest.mark.parametrize("more", [[], ["--isotonic"], ["--features", "mean,minimum"]])
def test_the_gateway_loads_what_was_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    code, output = calibrate(tmp_path, list(rows()), *more)
    assert code == 0
    predictor = load_predictor(str(output))
    assert (predictor.window, predictor.pair) == (3, ("small", "large"))
    model = predictor.models["logprobs"]
    assert model.threshold(0.9) <= model.threshold(0.99)
    report = json.loads(capsys.readouterr().out)["methods"]["logprobs"]
    assert (report["fitted_to"], report["evaluated_on"]) == (200, 100)
    assert {"reliability", "curve", "random", "targets"} <= report.keys()


def test_a_log_is_fitted_to_by_agreement(tmp_path: Path) -> None:
    lines = [
        {**row, "agreed": row.pop("lower_right"), "weight": 2.0, "split": ""} for row in rows()
    ]
    for line in lines:
        line.pop("upper_right")
    unknown = {**lines[0], "agreed": None}
    code, output = calibrate(tmp_path, [*lines, unknown])
    assert code == 0 and load_predictor(str(output)).models["logprobs"].thresholds


def test_audits_that_were_missed_are_stood_for_by_those_that_were_done(tmp_path: Path) -> None:
    """Else a log that was written under load would hold too few of what was accepted."""
    drawn = {"decision": "accepted", "weight": 2.0, "upper": None}
    known, up = list(rows(4)), {"decision": "escalated", "agreed": True, "weight": 1.0}
    for row in known:
        del row["lower_right"], row["upper_right"]
    lines = [
        {**known[0], **drawn, "audit": "done", "agreed": True},
        {**known[1], **drawn, "audit": "missed", "agreed": None},
        {**known[2], **drawn, "audit": "missed", "agreed": None},
        {**known[3], **up},
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [sample.weight for _, sample in read_rows(file)] == [6.0, 1.0]


def test_devices_answers_are_fitted_to_by_their_mean_and_apart_from_others(tmp_path: Path) -> None:
    device = [{**row, "features": {"mean": row["features"]["mean"]}} for row in rows()]
    code, output = calibrate(tmp_path, device)
    assert code == 0 and load_predictor(str(output)).models.keys() == {"mean"}
    alone = output.read_text()
    code, output = calibrate(tmp_path, [*device, *rows(lower_right=True), *rows()])
    both = load_predictor(str(output))
    assert both.models.keys() == {"logprobs", "mean"}
    assert to_data(both)["methods"]["mean"] == json.loads(alone)["methods"]["mean"]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([{"features": 5, "lower_right": True, "upper_right": True}], "rows.jsonl:1"),
        (list(rows(20)), "50 at least"),
        (list(rows(lower_right=True)), "right at times"),
    ],
)
def test_what_cannot_be_fitted_to_is_refused_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[dict[str, Any]], complaint: str
) -> None:
    code, output = calibrate(tmp_path, lines)
    assert code == 2 and not output.exists()
    assert complaint in capsys.readouterr().err
