"""Which predictor a gateway takes for its cascade, and what it refuses at its start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.cascade.predictor import METHODS, ConfidenceModel, Predictor, Term, to_data
from gateway.core.cascade.predictor_choice import Predictors
from gateway.errors import ConfigError
from gateway.settings.virtual_models.cascade import CascadeSettings, CascadeStage
from gateway.wiring.cascade import predictors

EDGE, CLOUD = {"model": "tierflow-edge"}, {"model": "tierflow-cloud"}
BY_MEAN = ConfidenceModel(
    terms=[Term(feature="mean", weight=1.0)], link="exp", thresholds={0.99: 0.5}
)


def chosen(folder: Path, methods: list[str], *stages: dict[str, Any], **more: Any) -> Predictors:
    file = folder / "predictor.json"
    file.write_text(json.dumps(to_data(Predictor(dict.fromkeys(methods, BY_MEAN)))))
    settings = CascadeSettings.model_validate({"predictor": str(file), "stages": stages, **more})
    return predictors(settings)


@pytest.mark.parametrize(
    ("methods", "stages", "more"),
    [
        (["logprobs"], [{"device": "any"}, EDGE, CLOUD], {}),
        (["logprobs"], [{"device": "any"}, CLOUD], {}),
        (["mean"], [{"device": "any"}, EDGE, CLOUD], {}),
        (["logprobs"], [EDGE, CLOUD], {"confidence": "agreement"}),
    ],
)
def test_a_predictor_that_can_never_judge_a_stage_is_refused_at_the_start(
    tmp_path: Path, methods: list[str], stages: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"cascade\.predictor: .* has no method"):
        chosen(tmp_path, methods, *stages, **more)


@pytest.mark.parametrize(
    ("methods", "stages"),
    [
        (["logprobs"], [EDGE, CLOUD]),
        (["mean"], [{"device": "phone"}, CLOUD]),
        (["logprobs", "mean"], [{"device": ["phone", "tablet"]}, EDGE, CLOUD]),
    ],
)
def test_a_predictor_needs_no_more_than_its_stages_do(
    tmp_path: Path, methods: list[str], stages: list[dict[str, Any]]
) -> None:
    given = chosen(tmp_path, methods, *stages).given
    assert given is not None and given.models.keys() == set(methods)


@pytest.mark.parametrize(("device", "devices"), [("any", ("any",)), (["a", "b"], ("a", "b"))])
def test_devices_are_named_or_any(device: Any, devices: tuple[str, ...]) -> None:
    assert CascadeStage(device=device).devices == devices


@pytest.mark.parametrize("device", [[], ["any", "phone"], ""])
def test_a_stage_of_unclear_devices_is_refused(device: Any) -> None:
    with pytest.raises(ValidationError):
        CascadeStage(device=device)


def test_a_shipped_predictor_is_chosen_by_its_name() -> None:
    part = CascadeSettings(predictor="rill-edge")
    assert predictors(part).of("my", "own", "logprobs").pair == ("rill-edge", "rill-cloud")
    cautious = predictors(CascadeSettings(predictor="cautious"))
    assert cautious.of("rill-edge", "rill-cloud", "logprobs").pair == ("", "")
    with pytest.raises(ConfigError, match="nowhere.json.*cautious.*rill-edge"):
        predictors(CascadeSettings(predictor="nowhere.json"))


def test_every_shipped_predictor_is_of_one_pair_and_keeps_every_quality() -> None:
    found = predictors(CascadeSettings())
    pairs = [each.pair for each in found.shipped]
    assert len(set(pairs)) == len(pairs) and all(all(pair) for pair in pairs)
    assert found.cautious.models.keys() == set(METHODS)
    for predictor in (found.cautious, *found.shipped):
        for model in predictor.models.values():
            assert 0.0 < model.threshold(0.9) <= model.threshold(0.999) <= 1.0


@pytest.mark.parametrize(
    ("served", "devices", "absent"),
    [
        ({"rill-edge", "rill-cloud", "more"}, False, []),
        ({"Qwen3-0.6B", "Qwen3-8B"}, False, ["rill-cloud", "rill-edge"]),
        ({"Qwen3-0.6B", "rill-cloud"}, False, ["rill-edge"]),
        # A device's model is not served by an engine.
        ({"Qwen3-0.6B", "rill-cloud"}, True, []),
    ],
)
def test_a_predictor_of_models_that_nobody_serves_is_known(
    served: set[str], devices: bool, absent: list[str]
) -> None:
    given = predictors(CascadeSettings(predictor="rill-edge"))
    assert given.absent_models(served, devices=devices) == absent
    assert predictors(CascadeSettings()).absent_models(served, devices=devices) == []


def test_a_predictor_that_names_no_models_is_of_none(tmp_path: Path) -> None:
    given = chosen(tmp_path, ["logprobs"], EDGE, CLOUD)
    assert given.absent_models({"any"}, devices=False) == []
