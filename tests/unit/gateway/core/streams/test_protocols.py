from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.streams.protocols import answer_count, stream_protocol
from gateway.errors import EngineFailed
from gateway.protocol.paths import CHAT, COMPLETIONS, RESPONSES

ERROR = b'{"error":{"message":"edge:1 broke","type":"x","param":null,"code":"engine_error"}}'
CREATED = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,'
    b'"response":{"id":"resp_1","object":"response","created_at":7,"model":"m",'
    b'"status":"in_progress","output":[]}}\n\n'
)


def failed(first: bytes, last: bytes) -> dict[str, Any]:
    event = stream_protocol(RESPONSES).failure(ERROR, first, last)
    head, data, *end = event.split(b"\n")
    assert head == b"event: response.failed"
    assert end == [b"", b""]
    parsed: dict[str, Any] = orjson.loads(data.removeprefix(b"data: "))
    return parsed


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, "/v1/other"])
def test_a_stream_of_chunks_fails_with_an_openai_error(path: str) -> None:
    event = stream_protocol(path).failure(ERROR, b"first", b"last")
    assert event == b"data: " + ERROR + b"\n\n"


def test_a_response_fails_as_the_response_that_it_began_as() -> None:
    last = b'data: {"sequence_number":4,"delta":"a"}\n\ndata: {"delta":"b","sequence_number":5}\n\n'
    event = failed(CREATED, last)
    assert (event["type"], event["sequence_number"]) == ("response.failed", 6)
    assert event["response"]["id"] == "resp_1"
    assert event["response"]["created_at"] == 7
    assert event["response"]["status"] == "failed"
    assert event["response"]["error"] == {"code": "engine_error", "message": "edge:1 broke"}


@pytest.mark.parametrize("first", [b"", b": a comment\n\n", b"data: {half\n\n", b"data: {}\n\n"])
def test_a_response_of_which_nothing_is_known_fails_as_well(first: bytes) -> None:
    event = failed(first, first)
    assert event["sequence_number"] == 0
    assert event["response"]["object"] == "response"
    assert event["response"]["error"]["code"] == "engine_error"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, "/v1/other"])
def test_an_error_without_its_wrapping_is_one(path: str) -> None:
    """As older versions of vLLM write it."""
    event = {"object": "error", "message": "EngineCore died", "code": 500}
    with pytest.raises(EngineFailed, match="ended its answer with an error"):
        stream_protocol(path).check(event, "edge:1")


@pytest.mark.parametrize(
    ("path", "fields", "count"),
    [
        (CHAT, {}, 1),
        (CHAT, {"n": 4}, 4),
        (CHAT, {"n": "4"}, 4),
        (CHAT, {"n": 0}, 1),
        (CHAT, {"n": [4]}, 1),
        (COMPLETIONS, {"n": 2, "best_of": 8}, 8),
        (COMPLETIONS, {"prompt": ["a", "b", "c"], "n": 2}, 6),
        (COMPLETIONS, {"prompt": [[1, 2], [3]]}, 2),
        (COMPLETIONS, {"prompt": [1, 2, 3]}, 1),
        ("/v1/embeddings", {"n": 4}, 0),
    ],
)
def test_all_answers_that_an_engine_makes_are_counted(
    path: str, fields: dict[str, Any], count: int
) -> None:
    assert answer_count(path, fields) == count
