"""The wire format that both kinds of engine keep: field names and order, errors, metrics.

What is written here was taken from vLLM 0.32. A simulator that passes can stand in for vLLM in
front of the gateway; a vLLM that fails has changed, and the simulator must follow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment
from tests.servers import metric_in

pytestmark = pytest.mark.integration
MODEL = "rill-cloud"
CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "What is 5 plus 6?"}]
ENVELOPE = ["id", "object", "created", "model", "choices"]
WHOLE_USAGE = [
    "prompt_tokens",
    "total_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
]
CHAT_WHOLE = [
    *ENVELOPE,
    "service_tier",
    "system_fingerprint",
    "usage",
    "prompt_logprobs",
    "prompt_token_ids",
    "prompt_text",
    "kv_transfer_params",
    "ec_transfer_params",
    "metrics",
]
CHAT_CHOICE = [
    "index",
    "message",
    "logprobs",
    "finish_reason",
    "stop_reason",
    "token_ids",
    "routed_experts",
]
MESSAGE = ["role", "content", "refusal", "annotations", "audio", "function_call", "reasoning"]
COMPLETION_WHOLE = [
    *ENVELOPE,
    "service_tier",
    "system_fingerprint",
    "usage",
    "kv_transfer_params",
    "ec_transfer_params",
    "metrics",
]
COMPLETION_CHOICE = [
    "index",
    "text",
    "logprobs",
    "finish_reason",
    "stop_reason",
    "token_ids",
    "prompt_logprobs",
    "prompt_token_ids",
    "routed_experts",
]
COMPLETION_CHUNK_CHOICE = [
    "index",
    "text",
    "logprobs",
    "finish_reason",
    "stop_reason",
    "prompt_token_ids",
    "token_ids",
]
MODEL_CARD = [
    "id",
    "object",
    "created",
    "owned_by",
    "root",
    "parent",
    "max_model_len",
    "permission",
]
GAUGES = ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"]
COUNTERS = [
    "prompt_tokens_total",
    "prompt_tokens_cached_total",
    "generation_tokens_total",
    "prefix_cache_queries_total",
    "prefix_cache_hits_total",
    "num_preemptions_total",
]
HISTOGRAMS = [
    "time_to_first_token_seconds",
    "inter_token_latency_seconds",
    "request_time_per_output_token_seconds",
    "e2e_request_latency_seconds",
    "request_queue_time_seconds",
    "request_inference_time_seconds",
    "request_prefill_time_seconds",
    "request_decode_time_seconds",
    "request_prompt_tokens",
    "request_generation_tokens",
]


@pytest.fixture
def engine(deployment: Deployment) -> Iterator[httpx.Client]:
    """The cloud engine itself, without the gateway."""
    with httpx.Client(base_url=deployment.cloud.url, timeout=60) as client:
        yield client


def events(answer: httpx.Response) -> list[Any]:
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, done, end = answer.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]


def ask(engine: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    answer = engine.post(path, json={"model": MODEL, "temperature": 0, "max_tokens": 3, **fields})
    assert answer.status_code == 200, answer.text
    return answer


def test_a_whole_chat_answer(engine: httpx.Client) -> None:
    answer = ask(engine, CHAT, messages=MESSAGES, logprobs=True, top_logprobs=2).json()
    (choice,) = answer["choices"]
    assert list(answer) == CHAT_WHOLE
    assert list(choice) == CHAT_CHOICE
    assert list(choice["message"]) == MESSAGE
    assert list(answer["usage"]) == WHOLE_USAGE
    entry = choice["logprobs"]["content"][0]
    assert list(entry) == ["token", "logprob", "bytes", "top_logprobs"]
    assert list(entry["top_logprobs"][0]) == ["token", "logprob", "bytes"]
    assert answer["id"].startswith("chatcmpl-")


def test_a_streamed_chat_answer(engine: httpx.Client) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    stream = {"messages": MESSAGES, "stream": True, "ignore_eos": True}
    first, *middle, usage = events(ask(engine, CHAT, **stream, stream_options=options))
    counts = ["prompt_tokens", "total_tokens", "completion_tokens"]
    assert list(first) == [*ENVELOPE, "usage", "prompt_token_ids", "prompt_text"]
    assert list(first["choices"][0]) == ["index", "delta", "logprobs", "finish_reason"]
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    for chunk in middle:
        assert list(chunk) == [*ENVELOPE, "usage"]
        assert list(chunk["usage"]) == [*counts, "completion_tokens_details"]
    unfinished = ["index", "delta", "logprobs", "finish_reason", "token_ids"]
    assert [list(chunk["choices"][0]) for chunk in middle[:-1]] == [unfinished] * len(middle[:-1])
    finished = ["index", "delta", "logprobs", "finish_reason", "stop_reason", "token_ids"]
    assert list(middle[-1]["choices"][0]) == finished
    assert list(usage) == [*ENVELOPE, "usage", "system_fingerprint"]
    assert list(usage["usage"]) == counts
    assert usage["choices"] == []


def test_a_stream_without_usage_ends_with_the_fingerprint(engine: httpx.Client) -> None:
    *others, last = events(ask(engine, CHAT, messages=MESSAGES, stream=True))
    assert list(last) == [*ENVELOPE, "system_fingerprint"]
    assert not any("system_fingerprint" in chunk for chunk in others)


def test_a_whole_completion(engine: httpx.Client) -> None:
    fields = {"prompt": "One, two,", "logprobs": 2, "echo": True, "return_token_ids": True}
    answer = ask(engine, "/v1/completions", **fields).json()
    (choice,) = answer["choices"]
    assert list(answer) == COMPLETION_WHOLE
    assert list(choice) == COMPLETION_CHOICE
    block = choice["logprobs"]
    assert list(block) == ["text_offset", "token_logprobs", "tokens", "top_logprobs"]
    count = len(choice["prompt_token_ids"]) + len(choice["token_ids"])
    assert {len(values) for values in block.values()} == {count}
    rows = choice["prompt_logprobs"]
    assert rows[0] is None
    assert list(next(iter(rows[1].values()))) == ["logprob", "rank", "decoded_token"]


def test_a_streamed_completion(engine: httpx.Client) -> None:
    chunks = events(
        ask(engine, "/v1/completions", prompt="One,", stream=True, return_token_ids=True)
    )
    for chunk in chunks:
        assert list(chunk)[:5] == ENVELOPE
        assert list(chunk["choices"][0]) == COMPLETION_CHUNK_CHOICE
    assert list(chunks[-1]) == [*ENVELOPE, "system_fingerprint"]
    assert chunks[0]["choices"][0]["prompt_token_ids"]
    assert [c["choices"][0]["prompt_token_ids"] for c in chunks[1:]] == [None] * (len(chunks) - 1)


def test_responses(engine: httpx.Client) -> None:
    body = {"model": MODEL, "input": "Hello!", "max_output_tokens": 3, "temperature": 0}
    whole = engine.post("/v1/responses", json=body).json()
    assert list(whole)[:8] == [
        "id",
        "created_at",
        "incomplete_details",
        "instructions",
        "metadata",
        "model",
        "object",
        "output",
    ]
    assert list(whole["output"][0]) == ["id", "content", "role", "status", "type", "phase"]
    stream = engine.post("/v1/responses", json={**body, "stream": True}).text
    kinds = [line[7:] for line in stream.split("\n") if line.startswith("event: ")]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "param"),
    [
        (CHAT, {"model": "other", "messages": MESSAGES}, 404, "NotFoundError", "model"),
        (CHAT, {"messages": MESSAGES, "max_tokens": 10**6}, 400, "BadRequestError", "max_tokens"),
        (CHAT, {"messages": MESSAGES, "max_tokens": 0}, 400, "BadRequestError", "max_tokens"),
        (CHAT, {"messages": MESSAGES, "n": 0}, 400, "BadRequestError", None),
        (CHAT, {"messages": "x"}, 400, "Bad Request", "body.messages"),
        (CHAT, {}, 400, "Bad Request", "body.messages"),
        (
            "/v1/completions",
            {"prompt": [30] * 9000},
            400,
            "BadRequestError",
            "input_tokens",
        ),
        ("/v1/completions", {}, 400, "BadRequestError", "prompt"),
        ("/v1/completions", {"prompt": [10**6]}, 400, "BadRequestError", None),
        ("/detokenize", {}, 400, "Bad Request", "body.tokens"),
    ],
)
def test_errors(
    engine: httpx.Client,
    path: str,
    body: dict[str, Any],
    status: int,
    kind: str,
    param: str | None,
) -> None:
    answer = engine.post(path, json={"model": MODEL, **body})
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert (error["type"], error["param"]) == (kind, param)


def test_what_an_engine_says_of_itself(engine: httpx.Client) -> None:
    listed = engine.get("/v1/models").json()
    assert list(listed) == ["object", "data"]
    assert list(listed["data"][0]) == MODEL_CARD
    assert (engine.get("/health").content, engine.get("/nowhere").status_code) == (b"", 404)
    assert engine.get("/version").json()["version"].startswith("0.32")
    tokens = engine.post("/tokenize", json={"model": MODEL, "prompt": "hi"}).json()
    assert list(tokens) == ["count", "max_model_len", "tokens", "token_strs"]


def test_metrics(engine: httpx.Client) -> None:
    ask(engine, CHAT, messages=MESSAGES)
    page = engine.get("/metrics").text
    assert "_created" not in page
    labels = '{engine="0",model_name="rill-cloud"}'
    for name in [*GAUGES, *COUNTERS, *(h + "_sum" for h in HISTOGRAMS)]:
        assert f"\nvllm:{name}{labels} " in page, name
    for reason in ("stop", "length", "abort", "error"):
        series = f'finished_reason="{reason}",model_name="rill-cloud"'
        assert f'vllm:request_success_total{{engine="0",{series}}}' in page
    for bound in ("0.001", "0.25", "2560.0", "+Inf"):
        assert metric_in(page, "vllm:time_to_first_token_seconds_bucket", le=bound) >= 0
        assert f'vllm:time_to_first_token_seconds_bucket{{engine="0",le="{bound}"' in page
    for bound in ("0.01", "0.3", "80.0", "+Inf"):
        assert f'vllm:inter_token_latency_seconds_bucket{{engine="0",le="{bound}"' in page


def test_messages_of_anthropics_api(engine: httpx.Client) -> None:
    body = {"model": MODEL, "messages": MESSAGES, "max_tokens": 3}
    whole = engine.post("/v1/messages", json=body).json()
    assert {"id", "type", "role", "content", "model", "stop_reason", "usage"} <= set(whole)
    assert (whole["type"], whole["role"]) == ("message", "assistant")
    assert whole["content"][0]["type"] == "text"
    assert {"input_tokens", "output_tokens"} <= set(whole["usage"])
    stream = engine.post("/v1/messages", json={**body, "stream": True}).text
    kinds = [line[7:] for line in stream.split("\n") if line.startswith("event: ")]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    tokens = engine.post("/v1/messages/count_tokens", json=body).json()
    assert list(tokens) == ["input_tokens", "context_management"]


def test_errors_of_anthropics_api(engine: httpx.Client) -> None:
    body = {"model": "other", "messages": MESSAGES, "max_tokens": 3}
    answer = engine.post("/v1/messages", json=body)
    assert (answer.status_code, answer.json()["type"]) == (404, "error")
    assert list(answer.json()["error"]) == ["type", "message"]


def test_a_response_that_is_not_stored_and_a_batch(engine: httpx.Client) -> None:
    missing = engine.get("/v1/responses/resp_0")
    assert (missing.status_code, missing.json()["error"]["param"]) == (404, "response_id")
    batch = {"model": MODEL, "messages": [MESSAGES, MESSAGES], "max_completion_tokens": 2}
    answer = engine.post("/v1/chat/completions/batch", json=batch).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
