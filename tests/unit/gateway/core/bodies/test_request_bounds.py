"""What one request may ask for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bodies.body_outline import BodyOutline, OutlineLimits
from gateway.core.bodies.request_bounds import RequestBounds, check_bounds
from gateway.errors import InvalidRequest

BOUNDS = RequestBounds(
    answers=8,
    tokens=1000,
    logprobs=20,
    prompts=3,
    prompt_chars=5000,
    stops=4,
    list_items=10,
    tools=2,
    choices=5,
    schema_bytes=200,
    media=2,
    media_hosts=(),
    media_lookup=True,
    engine_priority=0,
    transfers=False,
)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def complaint(fields: dict[str, Any], chars: int = 0) -> InvalidRequest | None:
    try:
        check_bounds(fields, chars, BOUNDS)
    except InvalidRequest as error:
        return error
    return None


@pytest.mark.parametrize(
    ("field", "value", "setting"),
    [
        ("n", 9, "max_answers"),
        ("n", "9", "max_answers"),
        ("n", 1e30, "max_answers"),
        ("n", " 9 ", "max_answers"),
        ("best_of", 2**62, "max_answers"),
        ("max_tokens", 1001, "max_answer_tokens"),
        ("max_completion_tokens", 1001, "max_answer_tokens"),
        ("max_output_tokens", "1e9", "max_answer_tokens"),
        ("logprobs", 21, "max_logprobs"),
        ("priority", -1, "min_engine_priority"),
        ("priority", "-1", "min_engine_priority"),
        ("kv_transfer_params", {"remote_host": "10.0.0.1"}, "engine_transfers"),
        ("ec_transfer_params", {"remote_host": "10.0.0.1"}, "engine_transfers"),
        ("top_logprobs", 21, "max_logprobs"),
        ("prompt_logprobs", 21, "max_logprobs"),
        ("stop", ["x"] * 5, "max_stops"),
        ("logit_bias", {str(i): 1 for i in range(11)}, "max_list_items"),
        ("stop_token_ids", [1] * 11, "max_list_items"),
        ("tools", [{}] * 3, "max_tools"),
        ("prompt", ["a"] * 4, "max_prompts"),
        ("prompt", [[1]] * 4, "max_prompts"),
        ("input", ["a"] * 4, "max_prompts"),
        ("guided_choice", ["a"] * 6, "max_choices"),
        ("guided_regex", "a" * 300, "max_schema_bytes"),
        ("response_format", {"type": "json_schema", "x": "a" * 300}, "max_schema_bytes"),
        ("text", {"format": {"x": "a" * 300}}, "max_schema_bytes"),
    ],
)
def test_what_is_beyond_a_bound_is_refused_by_its_setting(
    field: str, value: object, setting: str
) -> None:
    error = complaint({field: value})
    assert error is not None
    assert (error.param, error.code) == (field, "limit_exceeded")
    assert f"limits.{setting}" in error.message


@pytest.mark.parametrize("kind", ["choice", "grammar", "json", "regex"])
def test_structured_outputs_are_bounded(kind: str) -> None:
    value = ["a"] * 6 if kind == "choice" else "a" * 300
    error = complaint({"structured_outputs": {kind: value}})
    assert error is not None
    assert error.param == f"structured_outputs.{kind}"


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 8, "best_of": None, "max_tokens": 1000, "logprobs": True, "top_logprobs": -1},
        {"prompt": [1] * 100, "stop": "x" * 100, "tools": None, "logit_bias": {}},
        {"prompt": ["a"] * 3, "input": [], "response_format": {"type": "text"}, "text": "a" * 999},
        {"messages": [{"content": [IMAGE, IMAGE]}]},
        {"priority": 3, "kv_transfer_params": None, "ec_transfer_params": {}},
    ],
)
def test_what_keeps_to_the_bounds_passes(fields: dict[str, Any]) -> None:
    assert complaint(fields, 5000) is None


def test_a_prompt_and_pictures_are_bounded() -> None:
    for fields, chars, setting in (
        ({}, 5001, "max_prompt_chars"),
        ({"messages": [{"content": [IMAGE] * 3}]}, 0, "max_media"),
    ):
        error = complaint(fields, chars)
        assert error is not None
        assert setting in error.message


def test_a_private_address_is_refused_by_its_place() -> None:
    image = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}
    error = complaint({"messages": [{"content": [image]}]})
    assert error is not None
    assert error.param == "messages.0.content.0.image_url"
    assert "169.254" not in error.message


def test_a_long_grammar_in_a_large_body_is_found_though_its_inside_is_left_out() -> None:
    fields = {"structured_outputs": {"grammar": "root ::= x\n" * 20_000}}
    outline = BodyOutline(OutlineLimits(1 << 20, 1000, 1000))
    outline.feed(orjson.dumps(fields))
    outline.end()
    large = {**{name: getattr(BOUNDS, name) for name in BOUNDS.__slots__}, "schema_bytes": 1 << 20}
    with pytest.raises(InvalidRequest, match="max_schema_bytes"):
        check_bounds(orjson.loads(outline.text), 0, RequestBounds(**large))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = [
    "n", "stop", "tools", "prompt", "messages", "input", "text", "structured_outputs", "logprobs",
    "response_format",
]  # fmt: skip


@given(fields=st.dictionaries(st.sampled_from(NAMES), anything, max_size=4))
def test_no_type_of_any_field_breaks_the_check(fields: dict[str, Any]) -> None:
    complaint(fields)
