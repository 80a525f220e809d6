"""Whatever JSON an engine sends, its readers give a value or the one error of an engine's."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.answer_faults import EngineRefusal, body_fault, named_fault
from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.chat_answer import (
    ChatChoice,
    completion_tokens,
    prompt_tokens,
    read_choices,
)
from gateway.core.streams.continuation import ContinuationTerms, SentAnswer
from gateway.core.streams.usage import MAX_TOKENS, Usage, find_usage, read_usage
from gateway.errors import EngineFailed, UpstreamError
from gateway.protocol.paths import CHAT, COMPLETIONS, MESSAGES, RESPONSES
from gateway.serving.chat.message_parts import JoinedParts, parts_of, said

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["", "a", "stop", "abort", "3", "²", "9" * 5000, '{"a": 1}', "[" * 300]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["content", "index", "logprob", "name", "x"]), inner),
    ),
    max_leaves=6,
)


def odd(**good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with any of these fields right, odd or missing; now and then no object at all."""
    fields = {name: st.one_of(value, VALUES) for name, value in good.items()}
    return st.one_of(st.fixed_dictionaries({}, optional=fields), VALUES)


FUNCTION = odd(name=st.just("add"), arguments=st.just('{"a": 1}'))
CALLS = st.lists(odd(index=st.integers(0, 2), id=st.just("c"), function=FUNCTION), max_size=2)
MESSAGE = odd(content=st.just("Hi"), tool_calls=CALLS, reasoning=st.just("Hm"), role=st.just("a"))
LOGPROBS = odd(content=st.lists(odd(logprob=st.floats(-9, 0), token=st.just("t")), max_size=2))
CHOICE = odd(
    index=st.just(0),
    message=MESSAGE,
    delta=MESSAGE,
    text=st.just("Hi"),
    logprobs=LOGPROBS,
    token_ids=st.lists(st.integers(0, 9), max_size=2),
    finish_reason=st.sampled_from([None, "stop", "length"]),
    stop_reason=st.just(None),
)
COUNT = st.integers(0, 9)
BODY = odd(
    id=st.just("a"),
    object=st.sampled_from(["chat.completion", "error", "response"]),
    created=st.just(1),
    model=st.just("m"),
    choices=st.lists(CHOICE, min_size=1, max_size=2),
    usage=odd(prompt_tokens=COUNT, completion_tokens=COUNT),
    prompt_token_ids=st.lists(st.integers(0, 9), max_size=2),
    error=odd(message=st.just("no"), code=st.just(400)),
    type=st.sampled_from(["error", "response.failed"]),
    code=st.just(500),
    response=odd(status=st.just("failed")),
    output=st.just([]),
)


@settings(max_examples=40)
@given(body=BODY, whole=st.booleans())
def test_a_chat_is_read_or_refused_as_the_engines_failure(body: Any, whole: bool) -> None:
    body = body if isinstance(body, dict) else {"choices": body}
    try:
        choices = read_choices(body, "edge:1", whole=whole)
    except EngineFailed as error:
        assert error.code == "unreadable_answer"
        assert "not a chat completion: " in error.message
        return
    assert choices or not whole
    assert isinstance(prompt_tokens(body), int) and isinstance(completion_tokens(body), int)
    joined = JoinedParts()
    for choice in choices:
        assert isinstance(choice.text, str) and isinstance(said(choice.message), str)
        assert all(isinstance(value, int | float) for value in choice.token_logprobs)
        if (parts := parts_of(choice, logprobs=True)) is not None:
            orjson.dumps(parts.as_delta())
            joined.add(parts)
    orjson.dumps([joined.message("Hi"), joined.logprobs])


@settings(max_examples=40)
@given(body=BODY)
def test_token_counts_are_such_as_can_be_counted(body: Any) -> None:
    for usage in (
        read_usage(body if isinstance(body, dict) else {}),
        find_usage(orjson.dumps(body)),
    ):
        if usage is not None:
            assert 0 <= usage.prompt_tokens <= MAX_TOKENS
            assert 0 <= usage.completion_tokens <= MAX_TOKENS


@settings(max_examples=40)
@given(
    bodies=st.lists(BODY, max_size=4),
    path=st.sampled_from([CHAT, COMPLETIONS, MESSAGES, RESPONSES]),
)
def test_a_relayed_stream_ends_well_or_with_the_engines_failure(
    bodies: list[Any], path: str
) -> None:
    data = b"".join(b"data: " + orjson.dumps(body) + b"\n\n" for body in bodies)
    stream = AnswerStream(path, "edge:1", several=True)
    sent = SentAnswer(ContinuationTerms(shows_ids=True, keeps_text=False))
    try:
        sent.note(stream.feed(data + b"data: [DONE]\n\n"))
        sent.note(stream.finish())
    except UpstreamError:
        pass
    sent.note(data)
    sent.read()
    assert stream.usage is None or stream.usage.prompt_tokens <= MAX_TOKENS
    named_fault("edge:1", path, {}, data)


@settings(max_examples=40)
@given(body=BODY, path=st.sampled_from([CHAT, COMPLETIONS, MESSAGES, RESPONSES]))
def test_a_relayed_body_is_judged(body: Any, path: str) -> None:
    headers = {"content-type": "application/json"}
    for status in (200, 400, 404, 422, 501):
        fault = body_fault("edge:1", path, status, headers, orjson.dumps(body))
        assert fault is None or isinstance(fault, UpstreamError | EngineRefusal)


@pytest.mark.parametrize(
    ("choices", "wrong"),
    [
        ([None], "choices[0] is missing or null"),
        ("x", "choices is a text"),
        ([], "choices is an empty list"),
        ([{"message": None}], "choices[0].message is missing or null"),
        ([{"message": "hi"}], "choices[0].message is a text"),
        ([{"message": {"content": 5}}], "choices[0].message.content is a number"),
        ([{"message": {"tool_calls": [None]}}], "choices[0].message.tool_calls[0] is missing or"),
        ([{"message": {"tool_calls": [{"function": "f"}]}}], "tool_calls[0].function is a text"),
    ],
)
def test_the_failure_names_the_place_and_quotes_nothing(choices: Any, wrong: str) -> None:
    with pytest.raises(EngineFailed) as caught:
        read_choices({"choices": choices}, "edge:1", whole=True)
    assert wrong in caught.value.message


def test_what_is_only_about_the_answer_does_not_lose_it() -> None:
    message = {"content": "Hi", "tool_calls": None}
    odd_choice = {
        "message": message,
        "finish_reason": 5,
        "stop_reason": [],
        "logprobs": {"content": [{"token": "Hi"}, None]},
        "token_ids": ["x", 3],
    }
    (choice,) = read_choices({"choices": [odd_choice]}, "edge:1", whole=True)
    assert choice == ChatChoice(
        message=message, token_logprobs=[], token_ids=[], finish_reason="stop"
    )


def test_a_delta_that_is_null_says_nothing() -> None:
    event = {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}
    (choice,) = read_choices(event, "edge:1", whole=False)
    assert (choice.text, choice.finish_reason) == ("", "stop")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": None, "completion_tokens": "x"},
        {"prompt_tokens": "3"},
        {"prompt_tokens": -1},
        {"prompt_tokens": True, "completion_tokens": 3.5},
        {"prompt_tokens": 2**63},
        [1],
        "x",
    ],
)
def test_counts_that_can_not_be_believed_are_not_told(usage: Any) -> None:
    assert read_usage({"usage": usage}) is None
    assert find_usage(orjson.dumps({"usage": usage})) is None


def test_one_good_count_is_taken_without_the_other() -> None:
    body = {"usage": {"prompt_tokens": 7, "completion_tokens": "x"}}
    assert read_usage(body) == find_usage(orjson.dumps(body)) == Usage(7, 0)


def test_what_nests_too_deeply_to_be_sent_on_is_no_answer() -> None:
    message: dict[str, Any] = {"content": "Hi", "extra": orjson.loads("[" * 500 + "]" * 500)}
    with pytest.raises(EngineFailed, match="nested too deeply"):
        read_choices({"choices": [{"message": message}]}, "edge:1", whole=True)
