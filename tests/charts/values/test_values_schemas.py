"""The charts' schemas of values agree with one another and with the gateway's settings."""

from __future__ import annotations

import json
from typing import Any

from gateway.settings.pools import Pool
from tests.charts.helm import CHARTS

OF_ONE_CHART = {"library", "test", "pool", "global", "extraObjects"}
"""Values of model-pool that a pool of the umbrella chart doesn't take."""
OF_THE_UMBRELLA = {"enabled"}


def values(chart: str) -> dict[str, Any]:
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    found: dict[str, Any] = schema["properties"]
    return found


def test_a_pool_of_the_umbrella_takes_what_model_pool_takes() -> None:
    alone = values("model-pool")
    inside = values("tierflow")["pools"]["additionalProperties"]
    assert inside["additionalProperties"] is False
    here = inside["properties"]
    assert here.keys() - OF_THE_UMBRELLA == alone.keys() - OF_ONE_CHART
    # The umbrella knows which tiers there are, model-pool does not.
    for name in here.keys() - OF_THE_UMBRELLA - {"tier"}:
        assert here[name] == alone[name], name


def test_a_pools_policy_takes_the_settings_of_the_gateways_pools() -> None:
    policy = values("gateway")["pools"]["additionalProperties"]
    assert policy["additionalProperties"] is False
    # Secrets are known only to be refused with a sentence.
    assert policy["properties"].keys() == Pool.model_fields.keys() | {"apiKeySecret"}
    for name, field in Pool.model_fields.items():
        assert field.is_required() == (name in policy["required"]), name
