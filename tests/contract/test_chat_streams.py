"""A stream of the cascade or the collective has the headers and chunks of an engine's own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment

pytestmark = pytest.mark.integration

CHAT = "/v1/chat/completions"
PLAIN, VIRTUAL = "rill-cloud", ("tierflow-cascade", "tierflow-collective")


@dataclass
class Stream:
    """The data events of a stream, and its headers by name."""

    headers: dict[str, str]
    chunks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> list[dict[str, Any]]:
        """The chunks with text, between the first and the one that says why the answer ends."""
        unfinished = [c for c in self.chunks[1:] if c["choices"]]
        return [c for c in unfinished if c["choices"][0]["finish_reason"] is None]

    @property
    def last(self) -> dict[str, Any]:
        return next(c for c in self.chunks if c["choices"] and c["choices"][0]["finish_reason"])


def stream(deployment: Deployment, model: str, **fields: Any) -> Stream:
    """An answer that ends at its bound on tokens."""
    messages = [{"role": "user", "content": "What is 5 plus 6?"}]
    body = {"model": model, "messages": messages, "stream": True, "max_tokens": 4, **fields}
    body["ignore_eos"] = True
    answer = httpx.post(deployment.gateway.url + CHAT, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    found = Stream(dict(answer.headers))
    *events, done, end = answer.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    found.chunks = [json.loads(event[6:]) for event in events if event.startswith("data: ")]
    assert len(found.chunks) + sum(event.startswith(": ") for event in events) == len(events)
    return found


def shape(value: Any) -> Any:
    """The keys of a chunk at every depth, but for what is ours."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key != "tierflow"}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1] if isinstance(inner, dict)]
    return None


@pytest.mark.parametrize("model", VIRTUAL)
def test_the_headers_are_those_of_an_engine_s_stream(deployment: Deployment, model: str) -> None:
    plain, ours = stream(deployment, PLAIN), stream(deployment, model)
    # vLLM's middleware for other origins adds `vary`; the gateway's answers don't differ by origin.
    assert set(ours.headers) == set(plain.headers) - {"vary"}
    assert ours.headers["content-type"] == plain.headers["content-type"]


@pytest.mark.parametrize("fields", [{}, {"stream_options": {"include_usage": True}}], ids=str)
@pytest.mark.parametrize("model", VIRTUAL)
def test_the_chunks_have_the_keys_of_an_engine_s(
    deployment: Deployment, model: str, fields: dict[str, Any]
) -> None:
    plain, ours = stream(deployment, PLAIN, **fields), stream(deployment, model, **fields)
    assert shape(ours.chunks[0]) == shape(plain.chunks[0])
    assert {str(shape(chunk)) for chunk in ours.text} == {str(shape(plain.text[0]))}
    # Only an engine's last chunk may hold text as well, that of the last token.
    for last in (plain.last, ours.last):
        last["choices"][0]["delta"].pop("content", None)
    assert shape(ours.last) == shape(plain.last)
    assert shape(ours.chunks[-1]) == shape(plain.chunks[-1])


@pytest.mark.parametrize("model", VIRTUAL)
def test_first_and_last_chunk_say_what_an_engine_s_do(deployment: Deployment, model: str) -> None:
    plain, ours = stream(deployment, PLAIN), stream(deployment, model)
    for chunks in (plain.chunks, ours.chunks):
        (first,) = chunks[0]["choices"]
        assert first["delta"] == {"role": "assistant", "content": ""}
        assert (first["logprobs"], first["finish_reason"]) == (None, None)
    for found in (plain, ours):
        (last,) = found.last["choices"]
        assert (last["finish_reason"], last["stop_reason"]) == ("length", None)
    assert len({chunk["id"] for chunk in ours.chunks}) == 1
    assert set(ours.last["tierflow"]) == {model.removeprefix("tierflow-")}


@pytest.mark.parametrize("model", VIRTUAL)
def test_the_usage_comes_alone_at_the_end(deployment: Deployment, model: str) -> None:
    usage = stream(deployment, model, stream_options={"include_usage": True}).chunks[-1]
    assert usage["choices"] == []
    counts = usage["usage"]
    assert counts["total_tokens"] == counts["prompt_tokens"] + counts["completion_tokens"] > 0
