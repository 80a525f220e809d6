"""Secrets that the charts make are random, and an upgrade keeps them.

An upgrade reads what is there from the API server: here a stand-in that serves Secrets.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml

from k8s.preflight.rendering import THROWAWAY, Object, overlay
from tests.charts.api import discovery
from tests.charts.helm import CHARTS, NAMESPACE, RELEASE, Rendering, render
from tests.integration.preflight.cluster import kubeconfig
from tests.stand_in import Answer, StandIn, stand_in

pytestmark = pytest.mark.helm
DEVICES = {"gateway": {"devices": {"names": ["kitchen"]}}}
NAMES = (
    "tierflow-redis",
    "tierflow-drafts",
    "tierflow-devices",
    "tierflow-admin",
    "tierflow-keys",
)


@pytest.fixture
def api() -> Iterator[StandIn]:
    with stand_in(discovery()) as server:
        yield server


def stored(secret: Object) -> Object:
    """As the API server keeps it."""
    encoded = {
        key: base64.b64encode(value.encode()).decode()
        for key, value in secret.get("stringData", {}).items()
    }
    kept = {key: value for key, value in secret.items() if key != "stringData"}
    return kept | {"data": {**secret.get("data", {}), **encoded}}


def content(secret: Object) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in stored(secret)["data"].items()}


def upgraded(api: StandIn, values: dict[str, Any]) -> dict[str, Object]:
    """The Secrets as an upgrade renders them."""
    config = helm_python.Config(
        kubeconfig_content=json.dumps(kubeconfig(api.url)), namespace=NAMESPACE
    )
    with config, helm_python.Chart.load(CHARTS / "tierflow") as chart:
        wanted = overlay(THROWAWAY, values)
        rendered = config.render(chart, wanted, name=RELEASE, namespace=NAMESPACE)
    found = [each for text in rendered.values() for each in _documents(text)]
    return {each["metadata"]["name"]: each for each in found if each["kind"] == "Secret"}


def _documents(text: str) -> list[Object]:
    try:
        return [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]
    except yaml.YAMLError:
        return []


def test_an_upgrade_keeps_every_secret_that_is_there(api: StandIn) -> None:
    before = {name: render(DEVICES).one("Secret", name) for name in NAMES}
    for name, secret in before.items():
        api.answers[f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}"] = Answer(stored(secret))
    after = upgraded(api, DEVICES)
    for name in NAMES:
        assert content(after[name]) == content(before[name])


def test_a_device_that_is_added_gets_a_token_and_the_others_keep_theirs(api: StandIn) -> None:
    before = render(DEVICES).one("Secret", "tierflow-devices")
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets/tierflow-devices"
    api.answers[path] = Answer(stored(before))
    after = upgraded(api, {"gateway": {"devices": {"names": ["kitchen", "garage"]}}})
    tokens = content(after["tierflow-devices"])
    assert tokens["kitchen"] == content(before)["kitchen"]
    assert len(tokens["garage"]) >= 32
    assert set(json.loads(tokens["hashes.json"])) == {"kitchen", "garage"}


def test_each_install_makes_secrets_of_its_own(api: StandIn) -> None:
    once, again = upgraded(api, DEVICES), upgraded(api, DEVICES)
    for name in NAMES:
        assert content(once[name]) != content(again[name])
    assert len(content(once["tierflow-drafts"])["secret"]) >= 16
    assert len(content(once["tierflow-redis"])["password"]) >= 32


def test_the_gateway_is_told_the_hash_of_the_operators_token() -> None:
    rendering = render({})
    secret = content(rendering.one("Secret", "tierflow-admin"))
    assert secret["sha256"] == hashlib.sha256(secret["token"].encode()).hexdigest()
    assert variable(rendering, "ADMIN__TOKEN") == {"name": "tierflow-admin", "key": "sha256"}


def variable(rendering: Rendering, ending: str) -> dict[str, Any] | None:
    """What a variable of the gateway's is read from; None: there is no such variable."""
    deployment = rendering.one("Deployment", "tierflow-gateway")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found = [one for one in container["env"] if one["name"].endswith(ending)]
    return found[0]["valueFrom"]["secretKeyRef"] if found else None


def test_the_first_callers_key_is_made_and_the_gateway_is_told_its_hash() -> None:
    rendering = render({})
    secret = content(rendering.one("Secret", "tierflow-keys"))
    assert secret["key"].startswith("tf-") and len(secret["key"]) >= 43
    assert secret["sha256"] == hashlib.sha256(secret["key"].encode()).hexdigest()
    read = variable(rendering, "KEYS__STATIC__FIRST__KEY")
    assert read == {"name": "tierflow-keys", "key": "sha256"}


def test_keys_come_from_a_secret_of_ones_own_or_there_are_none() -> None:
    mine = render({"gateway": {"keys": {"existingSecret": "mine"}}})
    assert not mine.has("Secret", "tierflow-keys")
    assert variable(mine, "FIRST__KEY") == {"name": "mine", "key": "sha256"}
    none = render({"gateway": {"keys": {"enabled": False}}})
    assert not none.has("Secret", "tierflow-keys")
    assert variable(none, "FIRST__KEY") is None
    config = yaml.safe_load(none.one("ConfigMap", "tierflow-gateway")["data"]["gateway.yaml"])
    assert config["keys"] == {"required": False}


def test_an_operators_token_of_ones_own_is_taken_in_its_place() -> None:
    mine = {"existingSecret": "mine", "key": "token"}
    rendering = render({"gateway": {"admin": mine}})
    assert not rendering.has("Secret", "tierflow-admin")
    assert variable(rendering, "ADMIN__TOKEN") == {"name": "mine", "key": "token"}


def test_with_secrets_of_ones_own_the_chart_makes_none_that_a_rendering_could_change() -> None:
    gateway = {
        "keys": {"existingSecret": "mine"},
        "admin": {"existingSecret": "mine"},
        "devices": {"tokens": {"kitchen": "0a" * 32}},
        "state": {"existingSecret": "mine", "ports": [6379]},
    }
    redis = {"external": {"existingSecret": "mine"}}
    found = render({"global": {"draftsSecret": "mine"}, "gateway": gateway, "redis": redis})
    assert not list(found.of_kind("Secret"))
