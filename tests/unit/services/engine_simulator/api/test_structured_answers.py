import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.engine_simulator.api.structured_output import example
from tests.unit.services.engine_simulator.asgi_client import ask, chat, simulator

leaves = st.sampled_from(
    [{"type": t} for t in ("string", "integer", "number", "boolean", "null")]
    + [{"enum": ["a", "b"]}, {"const": 4}, {"type": "integer", "minimum": 10}, {}]
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda s: {"type": "array", "items": s}),
        st.dictionaries(st.text(max_size=5), inner, max_size=3).map(
            lambda p: {"type": "object", "properties": p}
        ),
    ),
    max_leaves=6,
)
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def fits(value: Any, schema: Any) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type")
    if kind == "object":
        return set(value) == set(schema["properties"]) and all(
            fits(value[name], part) for name, part in schema["properties"].items()
        )
    if kind == "array":
        return bool(value) and all(fits(item, schema["items"]) for item in value)
    if kind == "boolean":
        return isinstance(value, bool)
    return kind is None or isinstance(value, PYTHON_TYPES[kind])


@given(schemas, st.integers(0, 2**64))
def test_example_values_fit_their_schema(schema: Any, salt: int) -> None:
    assert fits(example(schema, salt), schema)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_json_object_answers_parse(path: str) -> None:
    body = {**chat("give json"), "prompt": "give json", "response_format": {"type": "json_object"}}
    body["max_tokens"] = 200
    choice = ask(simulator("--unpaced"), path, body).json()["choices"][0]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    assert isinstance(json.loads(text), dict)


def test_json_schema_answers_fit_the_schema() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = chat("hi", response_format=wanted)
    answer = ask(simulator("--unpaced"), "/v1/chat/completions", body).json()
    assert fits(json.loads(answer["choices"][0]["message"]["content"]), schema)


def test_tools_left_to_the_model_are_not_called() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    body = chat("hi", tools=[tool])
    choice = ask(simulator("--unpaced"), "/v1/chat/completions", body).json()["choices"][0]
    assert "tool_calls" not in choice["message"]
    assert re.search(r"[a-z]", choice["message"]["content"])


def test_naming_an_absent_tool_is_refused() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    body = chat("hi", tools=[tool], tool_choice={"type": "function", "function": {"name": "g"}})
    answer = ask(simulator("--unpaced"), "/v1/chat/completions", body)
    assert (answer.status, answer.json()["error"]["param"]) == (400, "tool_choice")


def test_logprobs_cover_every_token_in_both_shapes() -> None:
    app = simulator("--unpaced")
    body = chat("hi", max_tokens=5, logprobs=True, top_logprobs=3)
    chat_choice = ask(app, "/v1/chat/completions", body).json()["choices"][0]
    content = chat_choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == chat_choice["message"]["content"]
    assert all(len(e["top_logprobs"]) == 3 and e["logprob"] <= 0 for e in content)
    body = {"model": "m", "prompt": "hi you", "max_tokens": 5, "logprobs": 2, "echo": True}
    choice = ask(app, "/v1/completions", body).json()["choices"][0]
    block = choice["logprobs"]
    assert "".join(block["tokens"]) == choice["text"]
    for offset, token in zip(block["text_offset"], block["tokens"], strict=True):
        assert choice["text"].startswith(token, offset)
    assert block["token_logprobs"][0] is None
