import json

import pytest

from loadtest.measure.chat import chat_body, streamed_reply
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.streams import StreamedAnswer

DONE = b"data: [DONE]\n\n"


def stream(*events: dict[str, object], end: bytes = DONE) -> StreamedAnswer:
    answer = StreamedAnswer(sent=1.0)
    for number, event in enumerate(events, start=1):
        answer.observe(1.0 + number, f"data: {json.dumps(event)}\n\n".encode())
    answer.observe(10.0, end)
    return answer


def test_a_stream_is_put_together() -> None:
    choice = {"index": 0, "delta": {"content": "Hi"}}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    answer = stream(
        {"model": "m", "choices": [choice]},
        {"model": "n", "choices": [last], "tierflow": {"cascade": {"reason": None}}},
        {"model": "n", "choices": [], "usage": {"completion_tokens": 4}},
    )
    reply = streamed_reply(answer, 9.0)
    assert (reply.text, reply.model, reply.tokens) == ("Hi", "n", 4)
    assert (reply.first_s, reply.seconds) == (1.0, 9.0)
    assert reply.cascade == {"reason": None}


@pytest.mark.parametrize(
    ("events", "end"),
    [([{"error": {"message": "engine lost"}}], DONE), ([{"choices": []}], b"")],
    ids=["error", "early end"],
)
def test_a_stream_that_does_not_end_well_is_a_failure(
    events: list[dict[str, object]], end: bytes
) -> None:
    with pytest.raises(BenchmarkFailure, match="a stream failed"):
        streamed_reply(stream(*events, end=end), 1.0)


def test_only_streams_ask_for_usage() -> None:
    assert chat_body("m", "Hello?", max_tokens=5, stream=True)["stream_options"] == {
        "include_usage": True
    }
    assert "stream_options" not in chat_body("m", "Hello?", max_tokens=5)
