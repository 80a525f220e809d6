"""What users of each client get from the gateway and the device agent is what the engine gives."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from tests.clients.differences import facts, flat, meant_fields, other_fields
from tests.clients.process import ClientProcess
from tests.clients.programs.case import Answer
from tests.clients.servers import MAX_TOKENS, MODEL, QUESTION, Servers
from tests.integration.fleet import events
from tests.servers import eventually

REFUSED = ("wrong_model", "bad_field", "bad_stream")
pytestmark = pytest.mark.integration


def answer_at(client: ClientProcess, reached: Servers, case: str, place: str) -> Answer:
    """With what the engine did where the caller left."""
    asked = reached.case(case, place)
    generated = partial(reached.engine.metric, "vllm:generation_tokens_total")
    before = generated()
    answer = facts(client.ask(asked))
    if case == "cancel":
        idle = partial(reached.engine.metric, "vllm:num_requests_running")
        eventually(lambda: idle() == 0, "the engine has nothing left to do", 60)
        answer["ended early"] = generated() - before < asked.max_tokens
    return answer


@pytest.fixture(scope="module")
def engines_answers() -> dict[tuple[int, str, str], Answer]:
    """What the engine itself has answered to a client, by the case."""
    return {}


def test_a_client_gets_what_the_engine_gives(
    client: ClientProcess,
    reached: Servers,
    case: str,
    place: str,
    engines_answers: dict[tuple[int, str, str], Answer],
    record_property: Any,
) -> None:
    record_property("asked", [reached.kind, client.client.title, case, place])
    key = (id(reached), client.client.title, case)
    if key not in engines_answers:
        engines_answers[key] = answer_at(client, reached, case, "engine")
    own = engines_answers[key]
    ours = answer_at(client, reached, case, place)
    assert ours == own
    assert case != "cancel" or ours["ended early"]
    refused = "error" in own or bool(own.get("failed"))
    assert refused == (case in REFUSED)


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "answer": ("/v1/chat/completions", {}),
    "completion": ("/v1/completions", {"prompt": QUESTION, "messages": None}),
    "stream": ("/v1/chat/completions", {"stream": True, "stream_options": {"include_usage": True}}),
    "refused field": ("/v1/chat/completions", {"max_tokens": 1_000_000}),
    "unknown model": ("/v1/chat/completions", {"model": "no-such-model"}),
    "message": ("/v1/messages", {}),
    "count": ("/v1/messages/count_tokens", {}),
}


def answer_of(url: str, name: str) -> Any:
    path, other = REQUESTS[name]
    asked = [{"role": "user", "content": QUESTION}]
    body = {"model": MODEL, "messages": asked, "max_tokens": MAX_TOKENS, "temperature": 0, **other}
    body = {field: value for field, value in body.items() if value is not None}
    answer = httpx.post(url + path, json=body, timeout=60)
    return last_fields(events(answer.content)) if "stream" in body else answer.json()


def last_fields(chunks: list[Any]) -> dict[str, Any]:
    """Every field of a stream's chunks, with the value that it has at last, and the whole text."""
    assert chunks.pop() == "[DONE]"
    fields = {path: value for chunk in chunks for path, value in flat(chunk)}
    texts = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    return {**fields, "choices.delta.content": "".join(filter(None, texts))}


@pytest.mark.parametrize("place", ["gateway", "device agent"])
def test_fields_differ_where_it_is_meant_and_nowhere_else(reached: Servers, place: str) -> None:
    found: set[str] = set()
    for name in REQUESTS:
        own, ours = (answer_of(reached.at(where).url, name) for where in ("engine", place))
        other = other_fields(own, ours)
        assert other <= meant_fields(place), name
        found |= other
    if reached.kind == "vllm":
        assert found == meant_fields(place)
