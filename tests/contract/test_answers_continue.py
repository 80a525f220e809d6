"""An answer that is broken off goes on from its token ids, at any engine of the same model.

Both kinds of engine give the ids of a prompt and of each chunk (`return_token_ids`), and take them
as the `prompt` of a completion: the rest is the text that the unbroken answer would have had.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment

pytestmark = pytest.mark.integration
MODEL = "rill-cloud"
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MESSAGES = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "Add 417 and 325 digit by digit."},
]
TOKENS = 24
USAGE = {"include_usage": True}


@pytest.fixture(scope="module")
def engine(deployment: Deployment) -> Iterator[httpx.Client]:
    """The cloud engine itself, without the gateway."""
    with httpx.Client(base_url=deployment.cloud.url, timeout=60) as client:
        yield client


def post(engine: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    body = {"model": MODEL, "temperature": 0, "return_token_ids": True, **fields}
    answer = engine.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer


def chunks(answer: httpx.Response) -> list[Any]:
    lines = [line[6:] for line in answer.text.split("\n\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def choices(events: list[Any]) -> list[Any]:
    return [choice for event in events for choice in event["choices"]]


def ids_of(events: list[Any]) -> list[int]:
    return list(chain.from_iterable(c.get("token_ids") or () for c in choices(events)))


@pytest.fixture(scope="module")
def stream(engine: httpx.Client) -> list[Any]:
    """The events of a streamed chat that tells its ids."""
    fields = {"messages": MESSAGES, "max_tokens": TOKENS, "ignore_eos": True}
    return chunks(post(engine, CHAT, stream=True, stream_options=USAGE, **fields))


def test_a_chat_tells_the_ids_of_its_prompt_first_and_then_of_every_token(
    engine: httpx.Client, stream: list[Any]
) -> None:
    body = {"model": MODEL, "messages": MESSAGES, "add_generation_prompt": True}
    tokens = engine.post("/tokenize", json=body).json()["tokens"]
    assert stream[0]["prompt_token_ids"] == tokens
    assert not any(event.get("prompt_token_ids") for event in stream[1:])
    usage = stream[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(tokens), TOKENS)
    assert len(ids_of(stream)) == TOKENS


def test_a_prompt_without_the_opening_of_an_answer_is_its_beginning(engine: httpx.Client) -> None:
    body = {"model": MODEL, "messages": MESSAGES}
    whole, bare = (
        engine.post("/tokenize", json={**body, "add_generation_prompt": opened}).json()["tokens"]
        for opened in (True, False)
    )
    assert whole[: len(bare)] == bare
    assert len(bare) < len(whole)


@pytest.mark.parametrize("sent", [0, 1, 7, TOKENS - 1])
def test_a_broken_chat_goes_on_as_a_completion_of_its_ids(
    engine: httpx.Client, stream: list[Any], sent: int
) -> None:
    ids = ids_of(stream)
    prompt = stream[0]["prompt_token_ids"] + ids[:sent]
    fields = {"prompt": prompt, "max_tokens": TOKENS - sent, "ignore_eos": True}
    rest = chunks(post(engine, COMPLETIONS, stream=True, stream_options=USAGE, **fields))
    assert ids_of(rest) == ids[sent:]
    assert rest[0]["choices"][0]["prompt_token_ids"] == prompt
    assert rest[-1]["usage"]["completion_tokens"] == TOKENS - sent
    # Ids of a token with text lie in the event with this text: what was sent is known exactly.
    events = [choice for choice in choices(stream) if choice.get("token_ids")]
    counts = [len(choice["token_ids"]) for choice in events]
    if sent in (sum(counts[:number]) for number in range(len(counts))):
        text = "".join(choice["delta"].get("content") or "" for choice in choices(stream))
        before = "".join(
            choice["delta"].get("content") or ""
            for number, choice in enumerate(events)
            if sum(counts[: number + 1]) <= sent
        )
        assert before + "".join(choice["text"] for choice in choices(rest)) == text


def test_a_broken_chat_ends_where_the_unbroken_one_does(engine: httpx.Client) -> None:
    whole = post(engine, CHAT, messages=MESSAGES, max_tokens=400).json()
    (choice,) = whole["choices"]
    assert choice["finish_reason"] == "stop"
    ids = choice["token_ids"]
    assert len(ids) == whole["usage"]["completion_tokens"]
    half = len(ids) // 2
    prompt = whole["prompt_token_ids"] + ids[:half]
    rest = post(engine, COMPLETIONS, prompt=prompt, max_tokens=400 - half).json()["choices"][0]
    assert (rest["token_ids"], rest["finish_reason"]) == (ids[half:], "stop")
    assert choice["message"]["content"].endswith(rest["text"])


def test_a_broken_completion_goes_on_too(engine: httpx.Client) -> None:
    fields = {"prompt": "Add 12 and 30.", "max_tokens": 8, "ignore_eos": True}
    (whole,) = post(engine, COMPLETIONS, **fields).json()["choices"]
    prompt = whole["prompt_token_ids"] + whole["token_ids"][:3]
    rest = chunks(
        post(engine, COMPLETIONS, **{**fields, "prompt": prompt, "max_tokens": 5}, stream=True)
    )
    assert ids_of(rest) == whole["token_ids"][3:]


def test_ids_come_beside_log_probabilities(engine: httpx.Client) -> None:
    fields = {"messages": MESSAGES, "max_tokens": 6, "ignore_eos": True, "logprobs": True}
    events = chunks(post(engine, CHAT, stream=True, top_logprobs=2, **fields))
    entries = [e for c in choices(events) for e in (c.get("logprobs") or {}).get("content", ())]
    ids = ids_of(events)
    assert (len(entries), len(ids)) == (6, 6)
    rest = chunks(
        post(
            engine,
            COMPLETIONS,
            prompt=events[0]["prompt_token_ids"] + ids[:3],
            max_tokens=3,
            ignore_eos=True,
            logprobs=2,
            stream=True,
        )
    )
    tokens = list(chain.from_iterable(c["logprobs"]["tokens"] for c in choices(rest)))
    values = list(chain.from_iterable(c["logprobs"]["token_logprobs"] for c in choices(rest)))
    assert tokens == [entry["token"] for entry in entries[3:]]
    assert values == pytest.approx([entry["logprob"] for entry in entries[3:]], abs=1e-3)
