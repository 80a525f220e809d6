"""The gateway's settings are checked with the chart's values, by a schema made of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from deploy.charts import CHARTS
from deploy.charts.settings_schema import settings
from deploy.reference.settings import sections
from gateway.core.tier import Tier
from gateway.settings import Settings
from gateway.settings.pools import Pool
from tests.charts.helm import Refusal, render

pytestmark = pytest.mark.helm
HASH = "0a" * 32

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"limits": {"max_que": 3}}, "max_que"),
    ({"limts": {}}, "limts"),
    ({"limits": {"max_queue": "many"}}, "/config/limits/max_queue"),
    ({"limits": {"max_queue": -1}}, "/config/limits/max_queue"),
    ({"log_level": "loud"}, "/config/log_level"),
    ({"collective": {"prices": {}}}, "prices"),
    ({"cascade": {"stages": [{"modle": "a"}]}}, "modle"),
    ({"admin": {"token": "a token that would be readable"}}, "/config/admin/token"),
    ({"keys": {"static": {"team": {"key": "readable"}}}}, "/config/keys/static/team/key"),
    ({"listen": {"allowed_origins": ["localhost:3000"]}}, "/config/listen/allowed_origins/0"),
    ({"listen": {"allowed_origins": ["http://a.example/"]}}, "/config/listen/allowed_origins/0"),
    ({"listen": {"allowed_hosts": ["http://x/"]}}, "/config/listen/allowed_hosts/0"),
    ({"listen": {"allowed_hosts": ["x:8080"]}}, "/config/listen/allowed_hosts/0"),
    ({"keys": {"issuers": {"id": {"issuer": "https://id.example"}}}}, "audience"),
]
TAKEN: list[dict[str, Any]] = [
    {"limits": {"max_queue": 3}},
    {"limits": {"max_queue": None}},
    {"limits": None},
    {"log_level": "debug", "timeouts": {"first_token_s": 7.5}},
    {"keys": {"static": {"team": {"key": HASH}}}},
    {"prices": {"cloud": 2}},
    {"state": {"redis": {"sentinels": ["a:26379"], "master": "m"}}},
    {"listen": {"allowed_hosts": ["llm.example.org", "10.0.0.1", "[::1]", "fe80::1", "*"]}},
    {"listen": {"allowed_origins": ["*", "https://app.example.org", "http://localhost:3000"]}},
]


@pytest.mark.parametrize(("config", "word"), REFUSED, ids=[str(one) for one, _ in REFUSED])
def test_a_setting_that_does_not_exist_or_cannot_be_is_refused_by_name(
    config: dict[str, Any], word: str
) -> None:
    with pytest.raises(Refusal) as refused:
        render({"config": config}, chart="gateway")
    assert word in str(refused.value)


@pytest.mark.parametrize("config", TAKEN, ids=[str(one) for one in TAKEN])
def test_settings_that_exist_are_taken(config: dict[str, Any]) -> None:
    assert render({"config": config}, chart="gateway").has("ConfigMap", "tierflow-gateway")


def names(schema: Any) -> set[str]:
    """Of every setting in a schema, at any depth."""
    found: set[str] = set()
    if isinstance(schema, dict):
        found |= schema.get("properties", {}).keys()
        inside = [*schema.values(), *schema.get("properties", {}).values()]
        for inner in [*inside, *schema.get("patternProperties", {}).values()]:
            found |= names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            found |= names(inner)
    return found


def test_every_setting_stands_in_the_schema() -> None:
    schema = json.loads((CHARTS["gateway"] / "values.schema.json").read_text())
    assert schema["properties"]["config"] == settings()
    assert settings()["properties"].keys() == Settings.model_fields.keys()
    known = names(settings())
    for section in sections():
        assert {setting.name for setting in section.settings} <= known, section.path


def test_the_defaults_of_the_settings_are_within_the_schema() -> None:
    pool = Pool(tier=Tier.CLOUD, endpoints=("http://engine.example",))
    whole = Settings(pools={"far": pool}).model_dump(mode="json", exclude_none=True)
    own = {"pools", "discovery", "lifecycle", "operations", "listen", "state", "profiles"}
    config = {name: value for name, value in whole.items() if name not in own}
    found = render({"config": config}, chart="gateway").one("ConfigMap", "tierflow-gateway")
    written = yaml.safe_load(found["data"]["gateway.yaml"])
    assert config.items() <= written.items()
