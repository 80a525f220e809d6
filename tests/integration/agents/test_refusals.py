"""What an application on the device is told of a request that can't be answered."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.agent import QUESTION, World

pytestmark = pytest.mark.integration
TWENTY: dict[str, Any] = {"messages": QUESTION, "max_tokens": 20}
LONG = [{"role": "user", "content": "long " * 3000}]
BAD: list[tuple[dict[str, Any], int, str | None]] = [
    ({"model": "gpt-9"}, 404, "model"),
    ({"messages": []}, 400, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages"),
    ({"model": "tierflow-on-device", "messages": LONG}, 400, "messages"),
    ({"temperature": 3}, 400, "temperature"),
    ({"max_tokens": 0}, 400, "max_tokens"),
    ({"max_tokens": "seven"}, 400, "max_tokens"),
    ({"stop": [""]}, 400, "stop.0"),
    ({"seed": 1.5}, 400, "seed"),
    ({"model": "tierflow-on-device", "n": 2}, 400, "n"),
    ({"model": "tierflow-on-device", "logprobs": True}, 400, "logprobs"),
    ({"model": "tierflow-on-device", "tools": [{"function": {"name": "add"}}]}, 400, "tools"),
]


@pytest.mark.parametrize(
    ("wrong", "status", "param"), BAD, ids=[f"{n}-{p}" for n, (_, _, p) in enumerate(BAD)]
)
def test_what_is_wrong_is_named(
    here: World, wrong: dict[str, Any], status: int, param: str | None
) -> None:
    answer = here.ask({"model": "tierflow-auto", "messages": QUESTION, **wrong})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert error["message"].startswith("the model 'gpt-9'" if status == 404 else f"{param}:")
    assert not here.engine.bodies


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"model": 5}'])
def test_what_is_no_request_is_refused(here: World, body: bytes) -> None:
    answer = httpx.post(here.agent.url + "/v1/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_window_that_is_none_is_named(here: World) -> None:
    body = {"model": "tierflow-auto", "messages": QUESTION}
    answer = here.ask(body, x_tierflow_draft_window="65")
    assert answer.json()["error"]["param"] == "x-tierflow-draft-window"


def test_a_prompt_of_ids_beyond_the_vocabulary_is_refused(here: World) -> None:
    body = {"model": "tierflow-auto", "prompt": [1, here.engine.text.vocabulary]}
    answer = here.ask(body, "completions")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_engine_refuses_is_refused_with_its_own_words(here: World, stream: bool) -> None:
    here.engine.refuses = 400
    answer = here.ask({**TWENTY, "model": "tierflow-device-cloud", "stream": stream})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("engine_refused", "the engine's own words")


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_refused_limit_is_named_as_the_caller_named_it(here: World, limit: str) -> None:
    here.engine.refuses, here.engine.refused_field = 400, "max_tokens"
    body = {"model": "tierflow-device-cloud", "messages": QUESTION, limit: 10**6}
    error = here.ask(body).json()["error"]
    assert (error["code"], error["param"]) == ("engine_refused", limit)
    assert error["message"] == f"the engine's own words ({limit})"


def test_a_tier_with_another_tokenizer_is_refused_with_both_fingerprints(here: World) -> None:
    answer = here.ask({**TWENTY, "model": "tierflow-device-edge"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "tokenizer_differs"
    assert here.engine.text.fingerprint in error["message"]
