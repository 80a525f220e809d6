"""What comes through the gateway is, byte for byte, what the engine says when asked directly.

Both requests carry the same request id, from which an engine makes the answer's id; only times
of creation are set aside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment
from tests.servers import Server

pytestmark = pytest.mark.integration
QUESTIONS = [
    *(f"What is {a} plus {a * 7 % 41}?" for a in range(3, 16)),
    *(f"Sort these numbers: {a}, {a * 5 % 23}, {a * 11 % 29}." for a in range(2, 12)),
    *(f"How many minutes are {hours} hours?" for hours in range(2, 8)),
    *(f"Reverse this list: {word}" for word in ("a b c", "red green blue", "1 2 3 4", "x")),
    *("Hello!", "Who are you?", "Grüße 🙂 ж", '{"a": [1, 2]}', '\\ " \n\t', "  "),
    *(f"Tom has {n} apples and gives {n // 2} away. How many are left?" for n in range(4, 17)),
]
assert len(QUESTIONS) >= 50
ATTEMPTS = 20
"""Until both streams of a question are cut into the same events."""

CREATED = re.compile(rb'"created":\d+')


def asked(number: int, question: str) -> tuple[str, dict[str, Any]]:
    """Path and body without a model: every other question goes to completions."""
    body: dict[str, Any] = {"max_tokens": 12, "temperature": 0, "return_token_ids": True}
    if number % 3 == 0:
        body["logprobs"] = 2 if number % 2 else True
    if number % 2:
        return "/v1/completions", {**body, "prompt": question}
    return "/v1/chat/completions", {**body, "messages": [{"role": "user", "content": question}]}


@pytest.fixture(scope="module")
def anyone() -> Iterator[httpx.Client]:
    """A client of whatever URL it is given."""
    with httpx.Client(timeout=60) as client:
        yield client


def reply(
    client: httpx.Client, server: Server, path: str, body: dict[str, Any], request_id: str
) -> bytes:
    answer = client.post(server.url + path, json=body, headers={"x-request-id": request_id})
    assert answer.status_code == 200, answer.text
    return CREATED.sub(b'"created":0', answer.content)


def choices(stream: bytes) -> list[dict[str, Any]]:
    """A stream's text, token ids and finish reasons, however they were cut into events."""
    events = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
    merged: dict[int, dict[str, Any]] = {}
    for event in map(json.loads, events):
        for choice in event["choices"]:
            seen = merged.setdefault(choice["index"], {"text": "", "ids": [], "reason": None})
            seen["text"] += choice.get("text") or choice.get("delta", {}).get("content") or ""
            seen["ids"] += choice.get("token_ids") or []
            seen["reason"] = choice["finish_reason"]
    return [merged[index] for index in sorted(merged)]


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_whole_answers(deployment: Deployment, anyone: httpx.Client, tier: str) -> None:
    engine = deployment.edge if tier == "edge" else deployment.cloud
    for number, question in enumerate(QUESTIONS):
        path, body = asked(number, question)
        direct = reply(anyone, engine, path, {"model": f"rill-{tier}", **body}, f"same-{number}")
        model = f"rill-{tier}" if number % 4 < 2 else f"tierflow-{tier}"
        through = reply(
            anyone, deployment.gateway, path, {"model": model, **body}, f"same-{number}"
        )
        assert through == direct, question


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_streamed_answers(deployment: Deployment, anyone: httpx.Client, tier: str) -> None:
    """A busy engine may put two tokens into one event, and not so when it is asked again: the
    content is the same each time, and the bytes are when both were cut alike."""
    engine = deployment.edge if tier == "edge" else deployment.cloud
    for number, question in enumerate(QUESTIONS):
        path, body = asked(number, question)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        own = {"model": f"rill-{tier}", **body}
        any_name = {"model": f"rill-{tier}" if number % 4 < 2 else f"tierflow-{tier}", **body}
        for _ in range(ATTEMPTS):
            direct = reply(anyone, engine, path, own, f"same-{number}")
            through = reply(anyone, deployment.gateway, path, any_name, f"same-{number}")
            assert choices(through) == choices(direct), question
            assert through.endswith(b"data: [DONE]\n\n")
            if through == direct:
                break
        else:
            pytest.fail(f"other bytes in each of {ATTEMPTS} attempts: {question}")
