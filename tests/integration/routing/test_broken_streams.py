"""A stream that has begun and then breaks, and that no other engine can go on with, ends in one
clean error event, soon, and frees the engine."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openai import APIError, OpenAI

from tests.deployment import gateway_config
from tests.integration.fleet import PATIENCE, Fleet, events
from tests.servers import eventually, start_gateway

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"hang_after_tokens": 3}, "idle_timeout"),
        ({"close_after_tokens": 3}, "engine_disconnected"),
        ({"garbage_after_tokens": 3}, "unreadable_answer"),
    ],
)
def test_one_error_event_ends_it(fleet: Fleet, fault: dict[str, Any], code: str) -> None:
    fleet.fault(*fleet.edge, **fault)
    answer = fleet.ask("rill-edge", stream=True, response_format={"type": "json_object"})
    assert answer.status_code == 200
    *tokens, last = events(answer.content)
    texts = [event["choices"][0]["delta"].get("content") for event in tokens]
    assert len(list(filter(None, texts))) == 3
    assert last["error"]["code"] == code
    assert last["error"]["type"] in ("timeout_error", "upstream_error")
    eventually(
        lambda: all(s.metric("vllm:num_requests_running") == 0 for s in fleet.edge), "slots free"
    )


def test_the_official_client_raises_on_it(fleet: Fleet) -> None:
    fleet.fault(*fleet.edge, close_after_tokens=2)
    with (
        OpenAI(base_url=fleet.gateway.url + "/v1", api_key="none", max_retries=0) as client,
        client.completions.create(
            model="rill-edge", prompt="hi", max_tokens=9, n=2, stream=True
        ) as stream,
        pytest.raises(APIError) as caught,
    ):
        for _ in stream:
            pass
    assert caught.value.code == "engine_disconnected"


def test_slow_tokens_are_waited_for_as_long_as_they_come(fleet: Fleet) -> None:
    """The whole takes longer than the idle timeout, no single gap does."""
    fleet.fault(*fleet.edge, token_delay_s=0.3)
    answer = fleet.ask("rill-edge", stream=True, max_tokens=6)
    assert events(answer.content)[-1] == "[DONE]"


def test_a_body_over_the_limit_is_a_413_that_names_the_limit(fleet: Fleet) -> None:
    answer = fleet.ask("rill-edge", "x" * 70_000)
    error = answer.json()["error"]
    assert answer.status_code == 413
    assert "65536" in error["message"]
    assert "limits.max_body_bytes" in error["message"]


def test_a_full_gateway_turns_the_next_one_away_with_a_time_to_retry(fleet: Fleet) -> None:
    limits = {"max_in_flight": 1, "max_queue": 0}
    config = gateway_config(fleet.edge, [fleet.cloud], **(PATIENCE | {"limits": limits}))
    small = start_gateway(config, fleet.folder)
    fleet.fault(*fleet.edge, token_delay_s=0.5)
    url = small.url + "/v1/completions"
    body = {"model": "rill-edge", "prompt": "hi", "max_tokens": 8, "stream": True}
    try:
        with httpx.stream("POST", url, json=body, timeout=30) as first:
            lines = first.iter_lines()
            assert next(lines).startswith("data: ")
            second = fleet.http.post(url, json=body)
    finally:
        small.stop()
    assert second.status_code == 429
    assert int(second.headers["retry-after"]) >= 1
    assert second.json()["error"]["code"]


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"pools": {}}, "pools"),
        ({"pools": {"edge": {"tier": "fog", "endpoints": ["http://x"]}}}, "tier"),
        ({"pools": {"edge": {"tier": "edge", "endpoints": ["x"]}}}, "endpoints"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(
    fleet: Fleet, config: dict[str, Any], named: str
) -> None:
    good = gateway_config(fleet.edge, [fleet.cloud])
    with pytest.raises(AssertionError, match="ended with 2") as caught:
        start_gateway(good | config, fleet.folder)
    message = str(caught.value)
    assert named in message
    assert "Traceback" not in message
