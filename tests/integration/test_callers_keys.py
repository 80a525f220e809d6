"""Callers with keys, by the official OpenAI client and a plain one, against a real gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AuthenticationError, OpenAI, PermissionDeniedError, RateLimitError

from tests.deployment import gateway_config
from tests.integration.fleet import engine
from tests.keys import digest, left, secret, static_keys
from tests.servers import Server, eventually, metric_in, start_gateway

pytestmark = pytest.mark.integration
QUESTION: Any = [{"role": "user", "content": "What is 12 plus 30?"}]
KEYS: dict[str, dict[str, Any]] = {
    "open": {},
    "edge": {"tiers": ["edge"]},
    "one-model": {"models": ["rill-edge"]},
    "plain": {"ways": ["plain"]},
    "rates": {"requests_per_min": 60, "tokens_per_min": 60_000},
    "once": {"requests_per_min": 1},
    "tokens": {"tokens_per_min": 600_000},
    "day": {"tokens_per_day": 1},
    "lonely": {"in_flight": 1},
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keys")
    edge, cloud = engine("rill-edge", folder), engine("rill-cloud", folder)
    config = gateway_config([edge], [cloud], keys={"static": static_keys(KEYS)})
    gateway = start_gateway(config, folder)
    yield gateway
    for server in (gateway, edge, cloud):
        server.stop()


@contextmanager
def client(gateway: Server, name: str, max_retries: int = 0) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=gateway.url + "/v1", api_key=secret(name), max_retries=max_retries
    ) as opened:
        yield opened


def ask(gateway: Server, name: str, model: str = "rill-edge", **body: Any) -> httpx.Response:
    return httpx.post(
        gateway.url + "/v1/chat/completions",
        json={"model": model, "messages": QUESTION, "max_tokens": 4, **body},
        headers={"authorization": f"Bearer {secret(name)}"},
        timeout=30,
    )


def test_a_caller_without_a_key_or_with_a_wrong_one_is_refused_as_by_openai(
    guarded: Server,
) -> None:
    for authorization in ({}, {"authorization": "Bearer tf-wrong"}, {"authorization": "Basic x"}):
        answer = httpx.post(
            guarded.url + "/v1/chat/completions",
            json={"model": "rill-edge", "messages": QUESTION},
            headers=authorization,
        )
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["type"], error["param"]) == (
            401,
            "invalid_api_key",
            "invalid_request_error",
            None,
        )
    with pytest.raises(AuthenticationError) as raised, client(guarded, "unknown", 2) as caller:
        caller.models.list()
    assert raised.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/models/rill-edge"),
        ("POST", "/v1/collective/feedback"),
        ("GET", "/v1/streams/0123"),
        ("DELETE", "/v1/streams/0123"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
        ("POST", "/tokenize"),
    ],
)
def test_no_route_of_callers_is_open_to_strangers(guarded: Server, method: str, path: str) -> None:
    assert httpx.request(method, guarded.url + path, json={}).status_code == 401
    shown = {"authorization": f"Bearer {secret('open')}"}
    assert httpx.request(method, guarded.url + path, json={}, headers=shown).status_code != 401


def test_a_stranger_can_not_come_back_to_a_stream_by_sending_its_event_id(guarded: Server) -> None:
    answer = httpx.post(
        guarded.url + "/v1/completions",
        json={"model": "rill-edge", "prompt": "x"},
        headers={"last-event-id": f"{'0' * 16}-{'1' * 32}:3"},
    )
    assert answer.status_code == 401


def test_a_key_is_for_the_models_tiers_and_ways_of_its_scope(guarded: Server) -> None:
    for name, model, code in (
        ("one-model", "rill-cloud", "model_not_allowed"),
        ("edge", "rill-cloud", "tier_not_allowed"),
        ("edge", "tierflow-collective", "tier_not_allowed"),
        ("plain", "tierflow-cascade", "way_not_allowed"),
    ):
        with pytest.raises(PermissionDeniedError) as raised, client(guarded, name) as caller:
            caller.chat.completions.create(model=model, messages=QUESTION)
        assert (name, model, raised.value.code) == (name, model, code)
    with client(guarded, "one-model") as caller:
        assert {model.id for model in caller.models.list()} == {"rill-edge"}


def test_virtual_models_stay_within_the_tiers_of_the_key(guarded: Server) -> None:
    for model in ("tierflow-auto", "tierflow-cloud", "tierflow-cascade"):
        answer = ask(guarded, "edge", model)
        assert (answer.status_code, answer.headers["x-tierflow-tier"]) == (200, "edge")


def test_answers_tell_what_is_left_and_an_estimate_gives_way_to_what_was_used(
    guarded: Server,
) -> None:
    first = ask(guarded, "tokens", max_tokens=4)
    assert first.headers["x-ratelimit-limit-tokens"] == "600000"
    used = first.json()["usage"]["total_tokens"]
    second = ask(guarded, "tokens", max_tokens=200_000)
    assert left(second, "tokens") < 400_000
    third = ask(guarded, "tokens")
    # Time fills it by 10,000 a second: it is never less than what all three have used.
    assert left(third, "tokens") >= 600_000 - 3 * (used + 300)
    listed = httpx.get(
        guarded.url + "/v1/models", headers={"authorization": f"Bearer {secret('rates')}"}
    )
    assert listed.headers["x-ratelimit-limit-requests"] == "60"


def test_a_refused_caller_is_told_when_to_come_again(guarded: Server) -> None:
    assert ask(guarded, "once").status_code == 200
    with pytest.raises(RateLimitError) as raised, client(guarded, "once") as caller:
        caller.chat.completions.create(model="rill-edge", messages=QUESTION)
    headers, error = raised.value.response.headers, raised.value
    assert (error.code, error.type) == ("rate_limit_exceeded", "requests")
    assert 0 < int(headers["retry-after"]) <= 60
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"].endswith("s")


def test_a_client_does_not_ask_again_when_the_days_tokens_are_spent(guarded: Server) -> None:
    assert ask(guarded, "day").status_code == 200
    before = httpx.get(guarded.url + "/metrics").text
    with pytest.raises(RateLimitError) as raised, client(guarded, "day", 3) as caller:
        caller.chat.completions.create(model="rill-edge", messages=QUESTION)
    assert raised.value.code == "insufficient_quota"
    after = httpx.get(guarded.url + "/metrics").text
    name, labels = "tierflow_key_refusals_total", {"key": "day", "reason": "insufficient_quota"}
    assert metric_in(after, name, **labels) - metric_in(before, name, **labels) == 1


def test_logs_and_metrics_name_the_key_and_never_show_it(guarded: Server) -> None:
    assert ask(guarded, "open").status_code == 200
    assert eventually(lambda: guarded.logged(event="request", key="open"), "the line")
    page = httpx.get(guarded.url + "/metrics").text
    assert metric_in(page, "tierflow_key_requests_total", key="open") >= 1
    assert metric_in(page, "tierflow_key_tokens_total", key="open") > 0
    for name in KEYS:
        for hidden in (secret(name), digest(name)):
            assert hidden not in page
            assert hidden not in guarded.output()


def test_a_gateway_that_strangers_reach_does_not_start_without_keys(tmp_path: Path) -> None:
    config = {
        "listen": {"host": "0.0.0.0", "port": 0},
        "pools": {"edge": {"tier": "edge", "endpoints": ["http://127.0.0.1:1"]}},
    }
    with pytest.raises(AssertionError, match="keys.required"):
        start_gateway(config, tmp_path, ready=False)
