"""What OpenAI's official clients see of keys and quotas, and what their own retries then do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import APIStatusError, DefaultHttpxClient, OpenAI

from tests.clients import environments, javascript
from tests.deployment import gateway_config
from tests.integration.fleet import engine
from tests.keys import secret, static_keys
from tests.servers import Server, start_gateway

pytestmark = pytest.mark.integration
QUESTION: Any = [{"role": "user", "content": "What is 12 plus 30?"}]
RETRIES = 3
QUOTA = environments.PROGRAMS / "quota.js"
Seen = dict[str, Any]
Ask = Callable[..., Seen]


def python(url: str, key: str, model: str, max_retries: int, times: int) -> Seen:
    """As quota.js."""
    attempts: list[str] = []
    hooks = {"request": [lambda request: attempts.append(request.method)]}
    http = DefaultHttpxClient(event_hooks=hooks)
    seen: Seen = {}
    with OpenAI(base_url=url, api_key=key, max_retries=max_retries, http_client=http) as client:
        for _ in range(times):
            attempts.clear()
            seen = python_once(client, model)
            if seen["error"] or len(attempts) > 1:
                break
    return seen | {"attempts": len(attempts)}


def python_once(client: OpenAI, model: str) -> Seen:
    try:
        client.chat.completions.create(model=model, messages=QUESTION, max_tokens=4)
    except APIStatusError as error:
        return {
            "error": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "remaining": error.response.headers.get("x-ratelimit-remaining-requests"),
        }
    return {"error": "", "status": 200}


def node(url: str, key: str, model: str, max_retries: int, times: int) -> Seen:
    seen: Seen = json.loads(javascript.call(QUOTA, url, key, model, str(max_retries), str(times)))
    return seen


@pytest.fixture(params=["python", "javascript"], scope="module")
def language(request: pytest.FixtureRequest) -> str:
    if request.param == "javascript" and (reason := javascript.reason_to_skip()):
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture(scope="module")
def gateway(language: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(language)
    edge, cloud = engine("rill-edge", folder), engine("rill-cloud", folder)
    keys: dict[str, dict[str, Any]] = {
        "edge": {"models": ["rill-edge"]},
        "minute": {"requests_per_min": 60},
        "day": {"tokens_per_day": 1},
        "spent": {"requests_per_min": 1},
    }
    gateway = start_gateway(
        gateway_config([edge], [cloud], keys={"static": static_keys(keys)}), folder
    )
    yield gateway
    for server in (gateway, edge, cloud):
        server.stop()


@pytest.fixture
def ask(language: str, gateway: Server) -> Ask:
    def ask(key: str, model: str = "rill-edge", retries: int = RETRIES, times: int = 1) -> Seen:
        way = python if language == "python" else node
        return way(gateway.url + "/v1", secret(key), model, retries, times)

    return ask


def test_a_wrong_key_is_an_authentication_error_and_is_tried_once(ask: Ask) -> None:
    seen = ask("unknown")
    assert (seen["error"], seen["status"], seen["code"], seen["attempts"]) == (
        "AuthenticationError",
        401,
        "invalid_api_key",
        1,
    )


def test_what_a_key_is_not_for_is_a_permission_error_and_is_tried_once(ask: Ask) -> None:
    seen = ask("edge", "rill-cloud")
    assert (seen["error"], seen["status"], seen["code"], seen["attempts"]) == (
        "PermissionDeniedError",
        403,
        "model_not_allowed",
        1,
    )


def test_a_busy_minute_is_waited_for_as_long_as_told(ask: Ask) -> None:
    seen = ask("minute", times=200)
    # Its own first pause would be half a second, and too short.
    assert (seen["error"], seen["attempts"]) == ("", 2)


def test_without_retries_a_busy_minute_is_a_rate_limit_error(ask: Ask) -> None:
    seen = ask("spent", retries=0, times=2)
    assert (seen["error"], seen["status"], seen["code"], seen["remaining"]) == (
        "RateLimitError",
        429,
        "rate_limit_exceeded",
        "0",
    )


def test_a_spent_day_is_not_tried_again(ask: Ask) -> None:
    assert ask("day")["error"] == ""
    seen = ask("day")
    assert (seen["error"], seen["status"], seen["code"], seen["attempts"]) == (
        "RateLimitError",
        429,
        "insufficient_quota",
        1,
    )
