from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.engines.completion_stream import CompletionStream
from gateway.adapters.engines.dialects import LLAMA_CPP
from gateway.core.speculation.job import Batch
from gateway.errors import EngineFailed
from gateway.protocol.paths import CHAT
from tests.unit.gateway.fakes import FakeAnswer, Piece

pytestmark = pytest.mark.anyio

EVENTS = (
    b'data: {"choices":[{"index":0,"text":"a","token_ids":[5],"finish_reason":null}]}\n\n'
    b": a comment\n\n"
    b'data: {"choices":[{"text":"","token_ids":null,"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"text":"b","token_ids":[6,7],"finish_reason":"stop",'
    b'"stop_reason":"END"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":3}}\n\n'
    b"data: [DONE]\n\n"
)


def stream(*pieces: Piece) -> CompletionStream:
    return CompletionStream(answer=FakeAnswer(pieces), endpoint_id="edge:1")


async def batches(of: CompletionStream) -> list[Batch]:
    found = []
    while (batch := await of.read()) is not None:
        found.append(batch)
    return found


@given(st.sets(st.integers(1, len(EVENTS) - 1)))
async def test_batches_are_the_same_however_the_stream_is_cut(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(EVENTS)]
    pieces = [EVENTS[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    read = stream(*pieces)
    assert await batches(read) == [
        Batch(ids=[5], text="a"),
        Batch(ids=[6, 7], reason="stop", stop="END", text="b"),
    ]
    assert read.usage == (3, 3)


async def test_a_stop_token_is_told_as_a_token_and_is_no_text() -> None:
    expected = Batch(ids=[], reason="stop", stop=2)
    event = b'data: {"choices":[{"token_ids":[],"finish_reason":"stop","stop_reason":2}]}\n\n'
    assert await batches(stream(event + b"data: [DONE]\n\n")) == [expected]


def of_llama_cpp(*pieces: Piece) -> CompletionStream:
    return CompletionStream(answer=FakeAnswer(pieces), endpoint_id="edge:1", dialect=LLAMA_CPP)


async def test_llama_cpp_gives_ids_with_its_log_probabilities() -> None:
    events = (
        b'data: {"choices":[{"text":"a","logprobs":{"content":[{"id":5,"token":"a"}]}}],'
        b'"timings":{"predicted_n":1}}\n\n'
        b'data: {"choices":[{"text":"","logprobs":null,"finish_reason":"length"}],'
        b'"timings":{"predicted_n":1}}\n\ndata: [DONE]\n\n'
    )
    expected = [Batch(ids=[5], text="a"), Batch(ids=[], reason="length")]
    assert await batches(of_llama_cpp(events)) == expected


async def test_a_letter_of_which_llama_cpp_leaves_out_a_token_is_a_failure() -> None:
    event = (
        b'data: {"choices":[{"text":"\xc3\xa9","logprobs":{"content":[{"id":9}]}}],'
        b'"timings":{"predicted_n":2}}\n\n'
    )
    with pytest.raises(EngineFailed, match="without the ids of its tokens"):
        await batches(of_llama_cpp(event))


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([EVENTS[:100]], "engine_disconnected"),
        ([b'data: {"error":{"message":"secret prompt"}}\n\n'], "error_event"),
        ([b"data: {half\n\n"], "unreadable_answer"),
        ([b"data: [1]\n\n"], "unreadable_answer"),
        ([b'data: {"choices":[{"text":"a"}]}\n\n'], "engine_error"),
        ([b'data: {"choices":7}\n\n'], "engine_error"),
        ([b"x" * (9 * 1024 * 1024)], "unreadable_answer"),
    ],
)
async def test_what_is_no_answer_is_a_failure_that_quotes_nothing(
    pieces: list[Piece], code: str
) -> None:
    with pytest.raises(EngineFailed) as caught:
        await batches(stream(*pieces))
    assert caught.value.code == code
    assert "secret" not in caught.value.message


CHAT_EVENTS = (
    b'data: {"prompt_token_ids":[1,2],"choices":[{"delta":{"role":"assistant","content":""},'
    b'"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"a"},"token_ids":[5],"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"b"},"token_ids":[6],"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


def chat(*pieces: Piece) -> CompletionStream:
    return CompletionStream(answer=FakeAnswer(pieces), endpoint_id="edge:1", path=CHAT)


async def test_the_first_batch_of_a_chat_tells_the_prompt() -> None:
    assert await batches(chat(CHAT_EVENTS)) == [
        Batch(ids=[5], text="a", prompt=[1, 2]),
        Batch(ids=[6], reason="stop", text="b"),
    ]


async def test_a_chat_without_ids_is_an_engines_failure() -> None:
    event = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
    with pytest.raises(EngineFailed, match="return_token_ids"):
        await batches(chat(event))
