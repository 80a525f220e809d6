from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.streams.usage import Usage, find_usage

BODY = b'{"choices":[],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3}'


def test_usage_is_read_from_the_end_of_an_answer() -> None:
    assert find_usage(BODY + b"}") == Usage(7, 3)


@given(rest=st.integers(0, 300_000))
def test_what_follows_does_not_hide_it(rest: int) -> None:
    logprobs = b'{"1":{"logprob":-0.5,"rank":1,"decoded_token":"a"}},' * (rest // 50)
    body = BODY + b',"prompt_logprobs":[' + logprobs + b'null],"prompt_token_ids":[1,2]}'
    assert find_usage(body) == Usage(7, 3)


def test_the_last_usage_counts_and_null_is_none() -> None:
    assert find_usage(b'"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}') == Usage(2, 0)
    assert find_usage(b'{"usage":null}') is None


@pytest.mark.parametrize(
    "text", [rb'"text":"\"usage\":{\"prompt_tokens\":99}"', b'"usage":{"requests":1}']
)
def test_something_that_looks_like_it_is_passed_over(text: bytes) -> None:
    assert find_usage(BODY + b"," + text + b"}") == Usage(7, 3)


def test_the_responses_api_names_its_tokens_differently() -> None:
    assert find_usage(b'"usage":{"input_tokens":5,"output_tokens":6}') == Usage(5, 6)
