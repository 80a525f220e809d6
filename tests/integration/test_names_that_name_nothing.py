"""What an operator has misspelt stops the start, or is told once the engines were seen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import eventually, start, start_gateway, start_simulator

pytestmark = pytest.mark.integration


def refused(folder: Path, config: dict[str, Any], **variables: str) -> tuple[int, str]:
    """The exit code of a gateway that does not start, and what it prints."""
    file = folder / "gateway.yaml"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "gateway", "--config", str(file)]
    server = start("gateway", command, folder, "", env=variables)
    return server.process.wait(30), server.output()


def test_a_gateway_ends_with_code_2_and_names_the_variable_and_the_model_that_were_meant(
    tmp_path: Path,
) -> None:
    pools = {"edge": {"tier": "edge", "endpoints": ["http://127.0.0.1:9"], "models": ["rill-edge"]}}
    assert refused(tmp_path, {"pools": pools}, TIERFLOW_GATEWAY_TIMEOUTS_IDLE_S="60") == (
        2,
        "gateway: TIERFLOW_GATEWAY_TIMEOUTS_IDLE_S is no variable of Tierflow; did you mean "
        "TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S?\n",
    )
    code, text = refused(tmp_path, {"pools": pools, "collective": {"aggregator": "rill-egde"}})
    assert code == 2
    assert text.startswith(
        "gateway: collective.aggregator: no model is called 'rill-egde'; did you"
    )


def test_a_model_that_no_engine_serves_is_a_condition_once_all_are_up(tmp_path: Path) -> None:
    engine = start_simulator("rill-edge", tmp_path)
    config = {
        "pools": {"edge": {"tier": "edge", "endpoints": [engine.url]}},
        "family": ["rill-device", "rill-egde"],
        "collective": {"aggregator": "another"},
        "cascade": {"predictor": "rill-edge"},
    }
    gateway = start_gateway(config, tmp_path)
    try:
        conditions = eventually(
            lambda: httpx.get(f"{gateway.url}/ready").json()["conditions"], "there is a condition"
        )
        assert conditions["model-unknown"] == (
            "collective.aggregator: no engine serves 'another'; "
            "family: no engine serves 'rill-egde'; did you mean rill-edge?"
        )
        assert conditions["predictor-foreign"] == (
            "cascade.predictor was fitted to answers of rill-cloud, which no engine serves: its "
            "confidence says little of the models that answer"
        )
        engine.stop()
        eventually(
            lambda: "model-unknown" not in httpx.get(f"{gateway.url}/ready").text,
            "an engine that is down may serve it",
        )
    finally:
        gateway.stop()
        engine.stop()
