import asyncio
import json

import pytest

from tests.unit.services.engine_simulator.asgi_client import Call, ask, chat, get, simulator

APP = simulator("--unpaced", "--max-model-len", "64", "--max-body-bytes", "4096")
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        (CHAT, {**chat("hi"), "model": "other"}, 404, "model"),
        (CHAT, chat("long " * 100), 400, "input_tokens"),
        (CHAT, chat("hi", max_tokens=65), 400, "max_tokens"),
        (CHAT, chat("hi", max_tokens=0), 400, "max_tokens"),
        (CHAT, chat("hi", max_tokens="many"), 400, "body.max_tokens"),
        (CHAT, chat("hi", n=0), 400, None),
        (CHAT, chat("hi", n=16_385), 400, "n"),
        (CHAT, chat("hi", temperature=-1), 400, "temperature"),
        (CHAT, chat("hi", stop=""), 400, "stop"),
        (CHAT, chat("hi", top_logprobs=2), 400, "top_logprobs"),
        (CHAT, chat("hi", stream_options={"include_usage": True}), 400, "stream_options"),
        (CHAT, {"model": "m", "messages": "hi"}, 400, "body.messages"),
        (CHAT, {"model": "m", "messages": []}, 400, None),
        (CHAT, {"model": "m"}, 400, "body.messages"),
        (CHAT, [], 400, "body"),
        ("/v1/completions", {"model": "m"}, 400, "prompt"),
        ("/v1/completions", {"model": "m", "prompt": [1, 2, 99999]}, 400, None),
        ("/v1/completions", {"model": "m", "prompt": [-1]}, 400, None),
        ("/v1/completions", {"model": "m", "prompt": ["a"] * 300}, 400, "prompt"),
        ("/v1/embeddings", {"model": "m", "input": "x", "dimensions": 0}, 400, "dimensions"),
        ("/v1/responses", {"model": "m"}, 400, "body.input"),
        ("/tokenize", {"model": "m"}, 400, "body.prompt"),
        ("/tokenize", {"model": "other", "prompt": "x"}, 404, "model"),
        ("/detokenize", {"model": "m"}, 400, "body.tokens"),
    ],
)
def test_a_wrong_request_gets_an_error_body_with_its_field(
    path: str, body: object, status: int, param: str | None
) -> None:
    answer = ask(APP, path, body)
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["param"]) == (status, status, param)
    assert error["message"]
    assert error["type"]


def test_malformed_json_is_a_400() -> None:
    answer = asyncio.run(Call("POST", CHAT, b'{"model":').run(APP))
    assert answer.status == 400


def test_a_body_over_the_limit_is_a_413() -> None:
    assert ask(APP, CHAT, chat("x" * 5000)).status == 413


def test_an_unknown_path_and_a_wrong_method_are_told_apart() -> None:
    assert get(APP, "/v2/chat").status == 404
    assert get(APP, CHAT).status == 405


def test_the_model_may_be_left_out_as_with_vllm() -> None:
    answer = ask(APP, CHAT, {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})
    assert answer.json()["model"] == "m"


def test_messages_with_images_and_earlier_tool_calls_are_understood() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    app = simulator("--unpaced")
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "what is it?"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
    ]
    answer = ask(app, CHAT, {"model": "m", "messages": messages, "max_tokens": 4})
    assert answer.status == 200
    assert answer.json()["usage"]["prompt_tokens"] > 64


def test_vectors_have_unit_length_and_like_texts_lie_close() -> None:
    body = {"model": "m", "input": ["a river and a bridge", "a river and a lamp", "why, 9?"]}
    data = ask(simulator("--unpaced"), "/v1/embeddings", body).json()["data"]
    near, like, far = (item["embedding"] for item in data)

    def dot(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert abs(dot(near, near) - 1) < 1e-9
    assert dot(near, like) > dot(near, far)


def test_the_answer_carries_the_callers_request_id() -> None:
    body = json.dumps(chat("hi", max_tokens=1)).encode()
    call = Call("POST", CHAT, body, [(b"x-request-id", b"abc-1")])
    assert asyncio.run(call.run(APP)).json()["id"] == "chatcmpl-abc-1"
