from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.protocol.requests.chat import ChatBody
from gateway.serving.chat.request import DEVICE_SAMPLING, ChatRequest, check, read, refuse
from tests.unit.gateway.build import request

USER = {"role": "user", "content": "hi"}


def chat(**fields: Any) -> ChatRequest:
    body = {"model": "tierflow-cascade", "messages": [USER], **fields}
    return read(request("tierflow-cascade", body=json.dumps(body).encode()), "tierflow-cascade")


def complaint(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        chat(**fields)
    return raised.value


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": "hot"}, "temperature: expected a number or null, got a string"),
        ({"temperature": 9}, "temperature: expected a number <= 2.0"),
        (
            {"seed": 2**70},
            "seed: expected a whole number or null, got a fraction or more than 64 bits",
        ),
        ({"stream": "x"}, "stream: expected a boolean or null, got a string"),
        (
            {"tools": [{"type": "x", "function": {"name": "add"}}]},
            "tools.0.type: expected function",
        ),
        ({"max_tokens": True}, "max_tokens: expected a whole number or null, got a boolean"),
        ({"messages": []}, "messages: expected a list of length >= 1"),
        ({"messages": [{"content": "x"}]}, "messages.0.role: missing"),
        ({"tool_choice": "may"}, "tool_choice: expected one of auto, none, required"),
        ({"stream_options": {"include_usage": True}}, "stream_options: only with `stream`: true"),
        ({"min_tokens": 9, "max_tokens": 5}, "min_tokens: expected at most 5, the answer's bound"),
        ({"tierflow": {"cascade": {"samples": 99}}}, "tierflow.cascade.samples: expected a whole"),
        ({"tierflow": {"cascade": {"x": 1}}}, "tierflow.cascade.x: unknown field"),
        (
            {"tierflow": {"collective": {"members": "some"}}},
            "tierflow.collective.members: expected one of all, auto",
        ),
        (
            {"tierflow": {"collective": {"self_moa": {"device": 3}}}},
            "tierflow.collective.self_moa.device: expected a string or null, got a whole number",
        ),
    ],
)
def test_a_complaint_names_the_field_and_what_is_expected(
    fields: dict[str, Any], message: str
) -> None:
    error = complaint(**fields)
    assert error.message.startswith(message)
    assert error.code == "invalid_value"
    assert error.param == message.partition(":")[0]


def test_a_complaint_never_repeats_a_value() -> None:
    secret = "what the caller wrote"
    for fields in (
        {"temperature": secret},
        {"tool_choice": secret},
        {"tierflow": {"cascade": {"confidence": secret}}},
        {"messages": [{"role": "user", "content": {"text": secret}}]},
    ):
        assert secret not in complaint(**fields).message


def test_the_caller_s_values_are_converted_and_what_is_absent_stays_so() -> None:
    given = chat(temperature="0.5", seed=3.0, stop="#", max_tokens="7", top_p=None)
    assert given.sampling() == {"temperature": 0.5, "seed": 3, "stop": ["#"]}
    assert given.max_tokens == 7


def test_the_newer_bound_on_tokens_goes_before_the_older_one() -> None:
    assert chat(max_tokens=7, max_completion_tokens=5).max_tokens == 5
    assert chat(max_tokens=7).max_tokens == 7
    assert chat().max_tokens is None


def test_unknown_fields_pass() -> None:
    assert chat(chat_template_kwargs={"x": 1}).fields["chat_template_kwargs"] == {"x": 1}


def test_only_chat_is_answered() -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(request("tierflow-cascade", path="/v1/completions"), "tierflow-cascade")
    assert (raised.value.code, raised.value.param) == ("invalid_route", "model")


def test_what_one_model_can_not_heed_is_refused_with_its_reason() -> None:
    for fields, param in (({"n": 2}, "n"), ({"audio": {"voice": "x"}}, "audio")):
        with pytest.raises(InvalidRequest) as raised:
            refuse(chat(**fields), "tierflow-cascade", {"audio": "it answers in text"})
        assert (raised.value.code, raised.value.param) == ("invalid_parameter", param)
        assert "is not for tierflow-cascade" in raised.value.message
    refuse(chat(n=1, audio=None), "tierflow-cascade", {"audio": "it answers in text"})


def test_every_field_that_devices_understand_is_read() -> None:
    assert set(DEVICE_SAMPLING) <= set(ChatBody.__struct_fields__)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(ChatBody.__struct_fields__), values))
def test_any_body_is_either_read_or_refused_by_name(fields: dict[str, Any]) -> None:
    try:
        check(fields)
    except InvalidRequest as error:
        assert error.param is not None
        assert error.message.startswith(f"{error.param}: ")
        assert error.code == "invalid_value"
