from collections.abc import Mapping
from typing import Any

import pytest
from starlette.datastructures import Headers

from gateway.protocol.device_link.speculation import MAX_PROMPT_TOKENS
from gateway.protocol.requests.sampling import Sampling
from services.device_agent.answers.answer import AnswerPiece, AnswerReport
from services.device_agent.api.requests import (
    MAX_MESSAGES,
    VIRTUAL_MODELS,
    ApiRequest,
    BadRequest,
    api_request,
    check_header_values,
    check_headers,
    fields_beyond_frames,
    placement_for,
    privacy_class,
    read_body,
    server_only_fields,
)
from services.device_agent.api.responses import ResponseWriter
from services.device_agent.text import TextModel
from tests.servers import SHIPPED_FAMILY

MODEL = TextModel(SHIPPED_FAMILY / "rill-device")
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def understood(
    body: dict[str, Any], chat: bool = True, placement: str = "auto", **headers: str
) -> ApiRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api_request(
        read_body(body, chat=chat),
        named,
        chat=chat,
        placement=placement,
        model=MODEL,
        context=MODEL.context,
        privacy=privacy_class(named, "public"),
    )


def refusal(body: dict[str, Any], headers: Mapping[str, str] = {}) -> BadRequest:
    named: dict[str, Any] = {name.replace("-", "_"): value for name, value in headers.items()}
    with pytest.raises(BadRequest) as caught:
        understood(body, **named)
    return caught.value


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": 5}, "model"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": "Hi"}] * (MAX_MESSAGES + 1)}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_k": -2}, "top_k"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_completion_tokens": True}, "max_completion_tokens"),
    ({"seed": "one"}, "seed"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"stop": 7}, "stop"),
    ({"stop": ["a", ""]}, "stop.1"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": []}, "stream_options"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG)
def test_the_wrong_field_is_named(wrong: dict[str, Any], field: str) -> None:
    error = refusal({**CHAT, **wrong})
    assert error.param == field
    assert str(error).startswith(field)


def test_what_is_absent_stays_the_models_default() -> None:
    generation = understood(CHAT).generation
    assert generation.prompt == MODEL.encode_chat(CHAT["messages"])
    assert generation.sampling == Sampling()
    assert generation.window is None


def test_what_is_given_is_kept() -> None:
    given = {"temperature": 1, "top_p": 0.5, "top_k": 5, "seed": 3, "stop": "x", "max_tokens": 9}
    request = understood({**CHAT, **given}, x_tierflow_draft_window="7", x_tierflow_marks="1")
    assert request.generation.sampling == Sampling(
        temperature=1, top_p=0.5, top_k=5, seed=3, stop=["x"], max_tokens=9
    )
    assert request.generation.window == 7
    assert request.marks and not request.stream


@pytest.mark.parametrize("chat", [True, False])
def test_numbers_and_booleans_may_be_written_as_strings(chat: bool) -> None:
    body = {**CHAT, "prompt": "Hi"}
    given = {"max_tokens": "5", "temperature": "0.5", "stream": "true", "ignore_eos": "false"}
    request = understood({**body, **given}, chat=chat)
    assert request.generation.sampling == Sampling(max_tokens=5, temperature=0.5)
    assert request.stream


@pytest.mark.parametrize("window", ["-1", "65", "x", "", "1.5", "٣"])
def test_a_wrong_window_is_named(window: str) -> None:
    with pytest.raises(BadRequest, match="x-tierflow-draft-window"):
        understood(CHAT, x_tierflow_draft_window=window)


def test_prompts_are_text_or_ids() -> None:
    text = understood({"model": "m", "prompt": "Hi"}, chat=False).generation.prompt
    assert understood({"model": "m", "prompt": text}, chat=False).generation.prompt == text
    for wrong in ("", [], [MODEL.vocabulary], [-1], ["a", "b"], None):
        with pytest.raises(BadRequest) as caught:
            understood({"model": "m", "prompt": wrong}, chat=False)
        assert caught.value.param == "prompt"


def test_a_plain_completion_without_a_bound_has_16_tokens_and_a_chat_has_none() -> None:
    plain: dict[str, Any] = {"model": "m", "prompt": "Hi"}
    assert understood(plain, chat=False).generation.sampling.max_tokens == 16
    assert understood({**plain, "max_tokens": 3}, chat=False).generation.sampling.max_tokens == 3
    assert understood(CHAT).generation.sampling.max_tokens is None


def test_one_prompt_in_a_list_is_that_prompt() -> None:
    text = understood({"model": "m", "prompt": "Hi"}, chat=False).generation.prompt
    for prompt in (["Hi"], [text]):
        one = understood({"model": "m", "prompt": prompt}, chat=False)
        assert one.generation.prompt == text


def test_a_stop_text_that_no_frame_holds_goes_to_the_gateway_as_it_is() -> None:
    assert fields_beyond_frames(read_body({**CHAT, "stop": "x" * 65}, chat=True)) == ["stop"]
    assert fields_beyond_frames(read_body({**CHAT, "stop": ["x" * 64, "y"]}, chat=True)) == []


def test_what_is_wrong_with_a_list_of_stops_is_told_of_the_list() -> None:
    assert str(refusal({**CHAT, "stop": ["a"] * 5})) == "stop: expected a list of length <= 4"
    assert refusal({**CHAT, "stop": ["a"] * 5}).code == "invalid_value"


def test_null_stands_for_what_is_left_out() -> None:
    nulls: dict[str, Any] = dict.fromkeys(("stream", "stream_options", "stop", "seed"))
    assert understood({**CHAT, **nulls}).generation == understood(CHAT).generation


def test_a_prompt_without_room_for_an_answer_is_refused() -> None:
    body = {"model": "m", "prompt": [5] * MODEL.context}
    with pytest.raises(BadRequest) as caught:
        understood(body, chat=False, placement="on-device")
    assert caught.value.code == "context_length_exceeded"
    assert understood({**body, "prompt": body["prompt"][:-1]}, chat=False, placement="on-device")


def test_a_prompt_beyond_the_device_is_a_servers_to_take() -> None:
    body = {"model": "m", "prompt": [5] * MODEL.context}
    assert (
        len(understood(body, chat=False, placement="device-cloud").generation.prompt)
        == MODEL.context
    )


def test_a_prompt_that_no_frame_takes_is_refused_before_it_is_sent() -> None:
    body = {"model": "m", "prompt": [5] * (MAX_PROMPT_TOKENS + 1)}
    with pytest.raises(BadRequest) as caught:
        understood(body, chat=False, placement="device-cloud")
    assert (caught.value.param, caught.value.code) == ("prompt", "context_length_exceeded")


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 2**63), ("top_k", 2**31), ("max_tokens", 2**31)]
)
def test_numbers_that_no_server_takes_are_named(field: str, value: int) -> None:
    assert refusal({**CHAT, field: value}).param == field


def test_options_that_change_the_answer_are_a_servers_even_when_they_are_false() -> None:
    assert server_only_fields({**CHAT, "skip_special_tokens": False}) == ["skip_special_tokens"]
    assert server_only_fields({**CHAT, "add_special_tokens": False}) == ["add_special_tokens"]
    assert server_only_fields({**CHAT, "logprobs": False, "presence_penalty": 0}) == []


@pytest.mark.parametrize(
    ("more", "beyond"),
    [
        ({}, []),
        ({"n": 1, "user": "x", "logprobs": False, "tools": [], "presence_penalty": 0}, []),
        ({"n": 2}, ["n"]),
        ({"metadata": {"a": "b"}, "response_format": {"type": "text"}}, []),
        ({"parallel_tool_calls": True, "store": True, "service_tier": "auto"}, []),
        ({"tool_choice": "none", "repetition_penalty": 1.0, "stream": None, "n": None}, []),
        ({"response_format": {"type": "json_object"}}, ["response_format"]),
        ({"logprobs": 0}, ["logprobs"]),
        ({"prompt": ["a", "b"]}, ["prompt"]),
        ({"prompt": [[1, 2], [3]]}, ["prompt"]),
        ({"prompt": ["a"]}, []),
        ({"prompt": [1, 2]}, []),
        ({"logprobs": True}, ["logprobs"]),
        ({"tools": [{}], "response_format": {"type": "json_object"}}, ["tools", "response_format"]),
        ({"presence_penalty": 0.5, "logit_bias": {"5": 1}}, ["presence_penalty", "logit_bias"]),
    ],
)
def test_what_only_servers_understand_is_listed(more: dict[str, Any], beyond: list[str]) -> None:
    assert server_only_fields({**CHAT, **more}) == beyond


def test_the_placement_follows_the_models_name() -> None:
    served = {"rill-edge": "edge", "rill-cloud": "cloud"}
    assert {
        name: placement_for(name, "rill-device", served) for name in VIRTUAL_MODELS
    } == VIRTUAL_MODELS
    assert placement_for("rill-device", "rill-device", served) == "on-device"
    assert placement_for("rill-cloud", "rill-device", served) == "device-cloud"
    for name in ("gpt-9", "tierflow-cascade", "tierflow-edge"):
        assert placement_for(name, "rill-device", served, has_gateway=True) == "gateway"
    with pytest.raises(BadRequest, match=r"'gpt-9'.*tierflow-auto.*rill-cloud") as caught:
        placement_for("gpt-9", "rill-device", served)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_a_piece_is_split_by_its_makers() -> None:
    runs = AnswerPiece([1, 2, 3, 4], ["draft", "draft", "verifier", "draft"]).split_by_origin()
    assert [(run.token_ids, run.origins) for run in runs] == [
        ([1, 2], ["draft", "draft"]),
        ([3], ["verifier"]),
        ([4], ["draft"]),
    ]
    assert AnswerPiece([], []).split_by_origin() == []


@pytest.mark.parametrize("chat", [True, False])
def test_a_whole_answer_tells_usage_and_how_it_came_about(chat: bool) -> None:
    body = CHAT if chat else {"model": "m", "prompt": [5, 6]}
    request = understood({**body, "return_token_ids": True}, chat)
    report = AnswerReport(
        placement="device-cloud", endpoint="e", finish_reason="length", token_ids=[1, 2, 3, 4, 5]
    )
    report.verified_tokens, report.unverified_tokens = 3, 2
    report.model, report.stop_reason = "rill-cloud", "#"
    whole = ResponseWriter(request).whole("text", report)
    assert (whole["model"], whole["choices"][0]["stop_reason"]) == ("rill-cloud", "#")
    (choice,) = whole["choices"]
    assert whole["object"] == ("chat.completion" if chat else "text_completion")
    assert (choice["message"]["content"] if chat else choice["text"]) == "text"
    assert (choice["token_ids"], choice["finish_reason"]) == ([1, 2, 3, 4, 5], "length")
    prompt = len(request.generation.prompt)
    assert whole["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": 5,
        "total_tokens": prompt + 5,
    }
    assert whole["tierflow"] == report.to_json()


@pytest.mark.parametrize("name", ["authorization", "x-tierflow-privacy", "x-tierflow-marks"])
def test_a_header_that_two_could_read_differently_is_taken_once(name: str) -> None:
    once = (name.encode(), b"private")
    check_headers(Headers(raw=[once, (b"accept", b"a"), (b"accept", b"b")]))
    with pytest.raises(BadRequest) as caught:
        check_headers(Headers(raw=[once, (name.encode(), b"public")]))
    assert (caught.value.param, caught.value.code) == (name, "invalid_header")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-tierflow-max-tier", "moon"),
        ("x-tierflow-deadline-ms", "nan"),
        ("x-tierflow-min-quality", " "),
        ("x-tierflow-session", "s" * 257),
        ("x-tierflow-priority", "10"),
        ("x-tierflow-cascade-quality", "1"),
        ("x-tierflow-resumable", "0.5"),
        ("x-tierflow-marks", "yes"),
        ("x-tierflow-max-teir", "edge"),
    ],
)
def test_a_header_that_the_gateway_would_refuse_is_refused_by_the_device_too(
    header: str, value: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        check_header_values({header: value})
    assert (caught.value.param, caught.value.code) == (header, "invalid_header")
    check_header_values({"x-tierflow-max-tier": " Edge", "x-tierflow-resumable": "60"})


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-tierflow-draft-window", "65"),
        ("x-tierflow-draft-window", "9" * 5000),
        ("x-tierflow-draft-window", "-1"),
    ],
)
def test_a_header_of_the_device_with_another_value_is_named(header: str, value: str) -> None:
    refused = refusal(CHAT, {header: value})
    assert (refused.param, refused.code) == (header, "invalid_header")


def test_a_misspelt_model_of_the_device_is_told_the_nearest_also_where_a_gateway_is() -> None:
    for has_gateway in (True, False):
        with pytest.raises(
            BadRequest, match=r"did you mean tierflow-on-device\? Available: "
        ) as no:
            placement_for("tierflow-on-devise", "rill-device", {}, has_gateway=has_gateway)
        assert no.value.code == "model_not_found"
    assert placement_for("tierflow-edge", "rill-device", {}, has_gateway=True) == "gateway"
