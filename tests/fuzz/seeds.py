"""Well-formed inputs of every parser, from which the others are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.core.devices.member import DeviceModel, Member, WorkEnd, WorkOrder
from gateway.protocol import headers as names
from gateway.protocol import mailbox
from gateway.protocol.device_link import speculation, work
from gateway.serving.devices.replicas import messages as replicas
from gateway.serving.resumable import messages as resumable


def _json(*bodies: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(body).encode() for body in bodies)


_USER = {"role": "user", "content": "What is 3 + 4?"}
BODIES = (
    *_json(
        {"model": "rill-edge", "messages": [_USER], "max_tokens": 8, "stream": True},
        {"model": "rill-edge", "messages": [_USER] * 3, "n": 2, "stop": ["a", "b"], "seed": 1},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "model": "m"},
        {
            "model": "m",
            "messages": [_USER],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "logit_bias": {"5": -1.5},
            "response_format": {"type": "json_object"},
        },
        {
            "model": "tierflow-collective",
            "messages": [_USER],
            "tierflow": {"collective": {"quorum": 2, "tags": ["maths"], "deadline_ms": 100}},
        },
        {
            "model": "tierflow-cascade",
            "messages": [_USER],
            "tierflow": {"cascade": {"quality": 0.9, "confidence": "logprobs", "window": 4}},
        },
        {"model": "m", "prompt": [[1, 2], [3]], "echo": True, "logprobs": 1, "max_tokens": 2},
        {"model": "m", "prompt": [1, [2]], "n": 1},
        {"model": "m", "input": [{"role": "user", "content": "x"}], "max_output_tokens": 4},
        {"model": "m", "input": ["a", "b"], "encoding_format": "base64"},
        {"prompt": "x" * 600, "add_special_tokens": False},
        {"tokens": list(range(200))},
        {"model": "\ud83d\ude00", "prompt": "\u0000\ud83d\ude00"},
    ),
    b'{"model" : "m", "prompt": "\\u00e9\\ud83d\\ude00", "model":"n"}',
    b"{}",
)
BOUNDARY = "here"
FORMS = (
    b'--here\r\nContent-Disposition: form-data; name="model"\r\n\r\near\r\n'
    b'--here\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\nRIFF\r\n--here--\r\n",
    b"--here\r\ncontent-disposition:form-data;name=model\r\n\r\n\r\n--here--",
)
HEADERS = tuple(
    f"{name}: {value}\n{names.REQUEST_ID}: id-1".encode()
    for name, value in (
        (names.MAX_TIER, "edge"),
        (names.MIN_QUALITY, "rill-edge"),
        (names.DEADLINE_MS, "1500.5"),
        (names.SESSION, "session"),
        (names.PRIORITY, "high"),
        (names.PRIORITY, "7"),
        (names.CASCADE_QUALITY, "0.95"),
        (names.RESUMABLE, "60"),
        (names.IDEMPOTENCY_KEY, "k"),
        (names.AUTHORIZATION, "Bearer abc"),
        (names.LAST_EVENT_ID, "0123456789abcdef-" + "f" * 32 + ":7"),
        ("content-length", "12"),
        ("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
    )
)


def _chunk(**more: Any) -> bytes:
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


_DELTA = {"index": 0, "delta": {"content": "hi"}, "finish_reason": None, "token_ids": [5]}
_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
STREAMS = (
    _chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}])
    + _chunk(choices=[_DELTA])
    + _chunk(choices=[_DELTA | {"finish_reason": "stop"}])
    + _chunk(choices=[], usage=_USAGE)
    + b"data: [DONE]\n\n",
    _chunk(choices=[{"index": 0, "text": "hi", "token_ids": [1]}]) * 3 + b"data: [DONE]",
    b": still here\n\n" + _chunk(choices=[_DELTA]) + b"event: error\ndata: {}\n\n",
    b'data: {"error": {"message": "no", "code": 500}}\n\ndata: [DONE]\n\n',
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","response":'
    b'{"status":"completed","usage":{"input_tokens":1,"output_tokens":2}}}\n\n',
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"x"}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    b"data: a\r\ndata: b\r\n\r\nid: 7\r\ndata:\r\n\r\n",
)
_ROW = {"index": 0, "text": "hi", "token_ids": [5], "finish_reason": "length"}
ROUNDS = _json(
    {"choices": [_ROW, _ROW | {"index": 1, "token_ids": [6]}]},
    {"choices": [_ROW | {"index": 1, "finish_reason": "stop", "stop_reason": 6}, _ROW]},
    {"choices": [_ROW | {"token_ids": []}]},
    {"choices": [_ROW | {"logprobs": {"content": [{"id": 5, "token": "hi"}]}}] * 2},
    {
        "choices": [
            _ROW | {"index": place, "logprobs": {"content": [{"id": 5}]}} for place in (0, 1)
        ]
    },
    [_ROW],
)
REFUSALS = _json(
    {"error": {"message": "no", "type": "BadRequestError", "param": "body.n", "code": 400}},
    {"object": "error", "message": "no", "code": 400},
    {"detail": [{"loc": ["body", "n"], "msg": "no"}]},
    {"error": "no"},
)
METRICS = (
    b"# HELP vllm:num_requests_running Running.\n# TYPE vllm:num_requests_running gauge\n"
    b'vllm:num_requests_running{engine="0",model_name="m"} 2.0\n'
    b'vllm:num_requests_waiting{engine="0",model_name="m"} 1\n'
    b'vllm:kv_cache_usage_perc{engine="0"} 0.5\n'
    b'vllm:generation_tokens_total{model_name="m"} 1e6\n'
    b'vllm:request_decode_time_seconds_sum{model_name="m"} NaN\n'
    b'vllm:request_decode_time_seconds_count{model_name="m"} +Inf\n',
)
TEXTS = tuple(
    text.encode()
    for text in (
        "Let me think.\nAnswer: 7",
        "answer：1,234.50",
        "**Answer:** `x`\nAnswer:",
        "7",
        "Answer:" * 50,
    )
)
EVENT_IDS = (b"0123456789abcdef-" + b"f" * 32 + b":12", b"0123456789abcdef-" + b"0" * 32)
ADMIN = _json(
    {"name": "camera", "owner": "ann", "privacy": ["public", "owner"], "ttl_s": 60},
    {"enrolment_token": "tfe_x", "name": "camera", "attempt": "a" * 16},
    {"id": "chatcmpl-" + "0" * 32, "score": 0.5},
    {"name": "ann", "models": ["m"], "tiers": ["edge"], "expires_in_s": 60},
    {"grace_s": 5.5},
)
TOKENS = (
    b'{"alg":"RS256","kid":"one","typ":"JWT"}\n'
    b'{"iss":"https://login.example","aud":"tierflow","sub":"ann","exp":1800000000}\nsigned',
    b'{"alg":"none"}\n{"iss":["a"]}\n',
)
KEYS = (
    b"version: 2\nkeys:\n- {name: ann, digest: " + b"a" * 64 + b", created: 1.5}\n"
    b"- name: bob\n  digest: " + b"b" * 64 + b"\n  scope: {models: [m], tiers: [edge]}\n",
)
SETTINGS = (
    b"listen: {host: 127.0.0.1, port: 8080}\nfamily: [a, b]\n"
    b"pools:\n  edge: {tier: edge, endpoints: ['http://127.0.0.1:1']}\n"
    b"limits: {max_body_bytes: 1000000}\ntimeouts: {connect_s: 2.5}\n",
    b"pools:\n  edge:\n    tier: edge\n    endpoints: [http://a:1]\n    mailboxes: [a:2]\n"
    b"state: {redis: {url: 'redis://:p@h:6379/0', cluster: true, nodes: ['n:1']}}\n"
    b"devices: {tokens: {phone: " + b"a" * 64 + b"}, owners: {phone: ann}}\n"
    b"admin: {token: 'sixteen characters'}\n",
    b"pools: {cloud: {tier: cloud, endpoints: ['http://c:1']}}\n"
    b"cascade: {stages: [{pool: edge}, {pool: cloud}], threshold: 0.5}\n"
    b"collective: {quorum: 2, templates: {t@1: {purpose: revise, form: quotes, answer_chars: 10, "
    b"text: '{question}{own}{other}'}}, domains: {maths: ['a']}}\n"
    b"profiles: {p: {filters: [healthy], scorers: {least-load: 1.0}, picker: max}}\n",
    b"a: &a [1, 2]\nb: *a\n? x\n: y\n--- !!str z\n",
)


def frames() -> Sequence[bytes]:
    """Frames of devices and to them, of every kind."""
    sampling = speculation.Sampling(temperature=0.5, max_tokens=8, stop=["a"])
    every: Sequence[speculation.FromDevice | speculation.FromGateway] = (
        speculation.Hello(version=1, agent="fuzz"),
        speculation.Ping(n=3, round_trip_s=0.1, bytes_per_s=5.0, pad=b"x" * 9),
        speculation.Open(s=1, tier="edge", tokenizer="t", prompt=[1, 2, 3], sampling=sampling),
        speculation.Open(s=2, tier="cloud", tokenizer="t", messages=[_USER], verified=[4]),
        speculation.Draft(s=1, p=4, i=[7, 8], b=[3], m=[speculation.Run(5, [9], [8])]),
        speculation.Cancel(s=1),
        work.Register(instance="i" * 8, description="d", models=[work.Model(name="m")], tags=["a"]),
        work.State(condition=work.Condition(battery=0.5, hot=True)),
        work.Piece(w=1, text="hi", n=1),
        work.Finished(w=1, reason="stop", prompt_tokens=1, completion_tokens=1, logprob=-0.5),
        work.Refused(w=1, code="busy", message="m", retry_s=1.0),
        speculation.Welcome(version=1, device="d", lease_s=9.0, heartbeat_s=3.0),
        speculation.Tokens(s=1, p=0, i=[1], d=1),
        speculation.Tokens(s=1, p=1, i=[2, 3], w=[0, 2]),
        speculation.Ahead(s=1, p=3, i=[4, 5]),
        speculation.Done(s=1, reason="stop", prompt_tokens=1, completion_tokens=1),
        speculation.Error(code="flood", message="m", s=1),
        work.Work(w=1, kind="generate", messages=[_USER], sampling=sampling, deadline_s=5.0),
        work.Recall(w=1),
    )
    return [speculation.encode(frame) for frame in every]


def mailboxes() -> Sequence[bytes]:
    draft = mailbox.DraftMessage(session="s" * 8, position=3, tokens=[1, 2], before=[0])
    greeting = mailbox.MailboxGreeting(version=1, vocabulary=512, per_step=4)
    every: Sequence[object] = (draft, greeting, {"waiting": 1}, [])
    return [msgspec.msgpack.encode(each) for each in every]


def replica_messages() -> Sequence[bytes]:
    """Messages about devices, bundled as they travel, and about resumable streams."""
    member = Member(id="d", instance="i", description="", models=(DeviceModel(name="m"),))
    order = WorkOrder(kind="generate", messages=[_USER], max_tokens=4, deadline_s=1.0)
    about_devices: Sequence[replicas.Message] = (
        replicas.DeviceJoined(member),
        replicas.DeviceLeft("d", "r"),
        replicas.RemoteOrder(id="1", asker="a", device="d", instance="i", order=order),
        replicas.WorkText(id="1", n=0, text="x", tokens=1),
        replicas.WorkEnded("1", 1, WorkEnd(reason="stop", prompt_tokens=1, completion_tokens=1)),
        replicas.WorkFailed(id="1", n=0, code="c", message="m"),
        replicas.OwnerHeartbeat("r", ["1"]),
    )
    about_streams: Sequence[resumable.FromAsker | resumable.FromOwner] = (
        resumable.StreamPull(
            reader="r", asker="a", stream="s", caller="c", after=0, wanted=True, opening=True
        ),
        resumable.StreamLeft("r", 3),
        resumable.StreamEvents(
            reader="r",
            after=0,
            position=1,
            data=b"data: x\n\n",
            final=False,
            path="/v1/completions",
            status=200,
            headers=((b"a", b"b"),),
        ),
        resumable.StreamRefused(reader="r", code="broken"),
    )
    return [
        *(replicas.bundle([replicas.encode(message)]) for message in about_devices),
        *(resumable.encode(message) for message in about_streams),
    ]
