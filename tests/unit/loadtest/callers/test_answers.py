"""What is read of answers: whole ones, streams, and those of the Responses API."""

from __future__ import annotations

import json
from typing import Any

from gateway.protocol.paths import CHAT, COMPLETIONS, RESPONSES
from loadtest.callers.answers import last_event_id, streamed_answer, whole_answer
from tests.unit.loadtest.callers.calls import TEXT, USAGE, ending, event, events

DELTA = "response.output_text.delta"


def of_response(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields})


def test_a_stream_and_a_whole_body_say_the_same() -> None:
    usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1]}
    choice = {"index": 0, "message": {"content": TEXT}, "finish_reason": "length"}
    whole = whole_answer(
        CHAT, json.dumps({"id": "c1", "choices": [choice], "usage": usage}).encode()
    )
    stream = streamed_answer(CHAT, [b"".join([*events(), ending()])])
    assert (whole.texts, whole.finish_reasons) == (stream.texts, stream.finish_reasons)
    assert (whole.usage, whole.complete) == (stream.usage, stream.complete)


def test_an_error_body_is_told_by_its_code() -> None:
    body = b'{"error": {"message": "busy", "code": "overloaded"}}'
    assert whole_answer(CHAT, body).error == "overloaded: busy"


def test_a_completion_has_its_text_ids_and_scored_tokens_by_choice() -> None:
    def part(index: int, text: str, ids: list[int]) -> bytes:
        choice = {"index": index, "text": text, "token_ids": ids, "logprobs": {"tokens": [text]}}
        return event({"id": "c", "choices": [choice]})

    answer = streamed_answer(
        COMPLETIONS, [part(0, "a", [1]) + part(1, "b", [2]) + part(0, "c", [3])]
    )
    assert answer.texts == {0: "ac", 1: "b"}
    assert answer.token_ids == {0: [1, 3], 1: [2]}
    assert answer.scored_tokens == {0: ["a", "c"], 1: ["b"]}


def test_a_response_is_complete_with_its_own_last_event() -> None:
    usage = {"input_tokens": 3, "output_tokens": 2}
    response = {"id": "r", "status": "completed", "usage": usage}
    body = of_response(DELTA, delta="a") + of_response(DELTA, delta="b")
    cut = streamed_answer(RESPONSES, [body])
    whole = streamed_answer(RESPONSES, [body, of_response("response.completed", response=response)])
    assert (cut.texts, cut.complete) == ({0: "ab"}, False)
    assert (whole.texts, whole.complete, whole.usage) == ({0: "ab"}, True, (3, 2))
    failed = of_response(
        "response.failed", response={"id": "r", "error": {"code": "x", "message": "y"}}
    )
    assert streamed_answer(RESPONSES, [body, failed]).error == "x: y"


def test_the_last_event_id_is_that_of_the_last_complete_event() -> None:
    body = b"id: s:1\ndata: {}\n\nid: s:2\ndata: {}\n\nid: s:3\ndata: {"
    assert last_event_id(body) == "s:2"
    assert last_event_id(b"data: {}\n\n") == ""
