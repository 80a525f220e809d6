from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bodies.body import model_places, prompt_chars_and_key, replace_model
from gateway.protocol.paths import CHAT

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(st.text() | st.just("model"), json_values, max_size=5)


@given(fields=objects, indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_only_the_top_level_model_changes(
    fields: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    fields = {**fields, "model": "tierflow-auto"}
    body = json.dumps(fields, indent=indent, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    )
    replaced = replace_model(body, "rill-edge")
    assert replaced is not None
    expected = {**fields, "model": "rill-edge"}
    assert replaced == json.dumps(expected, indent=indent, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    )


def test_every_other_byte_stays_as_the_caller_wrote_it() -> None:
    body = b'{ "x":1.0e0,"model" :\t"tierflow-auto","n":12345678901234567890, "x":2 }'
    assert replace_model(body, "m") == (
        b'{ "x":1.0e0,"model" :\t"m","n":12345678901234567890, "x":2 }'
    )


def test_the_word_model_elsewhere_is_left_alone() -> None:
    body = b'{"user":"model","tools":[{"model":"a"}],"model":"b","metadata":{"model":"c"}}'
    assert replace_model(body, "X") == body.replace(b'"b"', b'"X"')


def test_of_two_model_keys_both_are_replaced() -> None:
    assert replace_model(b'{"model":"a","model":"b"}', "X") == b'{"model":"X","model":"X"}'


def test_an_escaped_key_is_not_guessed_at() -> None:
    assert replace_model(b'{"mod\\u0065l":"a"}', "X") is None


def test_a_prompts_length_counts_text_and_not_images() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9999}},
    ]
    body = {"messages": [{"role": "user", "content": parts}]}
    assert prompt_chars_and_key(body)[0] == len("What is this?")


def test_equal_heads_share_a_key_and_different_ones_do_not() -> None:
    def key(text: str) -> bytes:
        return prompt_chars_and_key({"messages": [{"role": "user", "content": text}]})[1]

    head = "You are a careful assistant. " * 40
    assert key(head + "one") == key(head + "two") != key("something else")


@given(fields=st.dictionaries(st.sampled_from(["messages", "prompt", "input"]), json_values))
def test_any_json_can_be_measured(fields: dict[str, Any]) -> None:
    length, key = prompt_chars_and_key(fields)
    assert length >= 0
    assert len(key) in (0, 16)


def test_token_ids_count_as_four_characters_each() -> None:
    assert prompt_chars_and_key({"prompt": [1, 2, 3]})[0] == 12
    assert prompt_chars_and_key({"prompt": [[1, 2, 3], [4]]})[0] == 16


def test_a_body_nested_without_end_is_measured_too() -> None:
    nested: Any = "deep"
    for _ in range(900):
        nested = [nested]
    assert prompt_chars_and_key({"prompt": nested}) == (0, b"")


def test_a_key_in_a_text_or_below_is_none() -> None:
    body = rb'{"a":"\\\"model\":\"x\"","b\"model":"y","c":{"model":"z"},"model" : "m"}'
    assert [body[a:b] for a, b in model_places(body)] == [b'"m"']


def test_a_body_with_hundreds_of_such_keys_is_not_searched_to_its_end() -> None:
    assert model_places(b'{"x":[' + b'{"model":"x"},' * 300 + b'1],"model":"m"}') == ()


def test_nested_lists_among_token_ids_break_nothing() -> None:
    nested: list[object] = []
    for _ in range(1000):
        nested = [nested]
    chars, key = prompt_chars_and_key({"prompt": [1, nested]})
    assert chars == 8
    assert key


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/chat/completions", "messages"),
        ("/v1/completions", "prompt"),
        ("/v1/responses", "input"),
        ("/v1/embeddings", "input"),
        ("/tokenize", "prompt"),
    ],
)
def test_a_prompt_is_measured_where_its_route_has_it(path: str, field: str) -> None:
    prompt: Any = "a" * 5000
    if field == "messages":
        prompt = [{"role": "user", "content": prompt}]
    for other in {"messages", "prompt", "input"} - {field}:
        chars, key = prompt_chars_and_key({other: "b", field: prompt}, path)
        assert 5000 <= chars <= 5001
        if path in ("/v1/chat/completions", "/v1/completions", "/v1/responses"):
            assert (chars, key) == prompt_chars_and_key({field: prompt}, path)


def test_all_text_of_a_message_counts() -> None:
    part = {"type": "text", "content": "a", "text": "b" * 1000}
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "c" * 100}}]
    messages = [{"role": "user", "content": [part]}, {"role": "assistant", "tool_calls": calls}]
    assert prompt_chars_and_key({"messages": messages}, CHAT)[0] == 1101
    output = {"type": "function_call_output", "output": "d" * 50}
    body = {"instructions": "e" * 7, "input": [output]}
    assert prompt_chars_and_key(body, "/v1/responses")[0] == 57


def test_tools_count_as_they_are_written() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "ü" * 1000}}]
    body = {"messages": [{"role": "user", "content": "hi"}]}
    chars, key = prompt_chars_and_key({**body, "tools": tools}, CHAT)
    assert 1000 < chars < 1100
    assert key == prompt_chars_and_key(body, CHAT)[1]
