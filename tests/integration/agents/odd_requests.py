"""Requests that few clients mean to send. A device agent answers each as the gateway does."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.protocol.paths import CHAT, COMPLETIONS, MESSAGES, RESPONSES, TRANSCRIPTIONS
from gateway.protocol.virtual_models import AUTO
from tests.integration.agent import QUESTION

STORED = "/v1/responses/resp_1"
BODY: dict[str, Any] = {"model": "rill-edge", "max_tokens": 2}
ASKED = json.dumps({**BODY, "messages": QUESTION}).encode()
ASKED_AUTO = json.dumps({"model": AUTO, "messages": QUESTION, "prompt": "hi"}).encode()
"""A device answers it itself."""
RESPONSE = json.dumps({"model": "rill-edge", "input": "hi"}).encode()


class OddRequest(NamedTuple):
    method: str
    path: str
    content: bytes = b""
    headers: Mapping[str, str] = {}


def chat(**fields: Any) -> OddRequest:
    return OddRequest("POST", CHAT, json.dumps({**BODY, "messages": QUESTION, **fields}).encode())


METHODS = [
    OddRequest(method, path)
    for method, paths in {
        "OPTIONS": (CHAT, RESPONSES, TRANSCRIPTIONS, STORED, f"{STORED}/cancel", "/v1/streams/x"),
        "HEAD": (CHAT, "/health", "/v1/models", "/v1/models/rill-edge", "/v1/streams/x", "/no"),
        "GET": (CHAT, f"{CHAT}/", MESSAGES, f"{STORED}/cancel", "/v1/nothing"),
        "PUT": ("/v1/models", "/version", STORED, "/health"),
    }.items()
    for path in paths
] + [
    OddRequest("OPTIONS", path)
    for path in ("/v1/models", "/v1/models/x", "/version", "/health", "/ready", "/metrics", "/no")
]
BODIES = [
    OddRequest("POST", path, content)
    for path in (CHAT, COMPLETIONS, RESPONSES, MESSAGES)
    for content in (b"", b"{", b'{"model": "rill-edge",}', b"[1]", b"\xff\xfe", b"null")
] + [
    OddRequest("POST", path, json.dumps({"model": model, "prompt": "hi", "input": "hi"}).encode())
    for path in (CHAT, COMPLETIONS, RESPONSES)
    for model in (None, 5, "", "x" * 300)
]
HEADERS = (
    [
        OddRequest(method, path, content, headers)
        for method, path, content in (
            ("POST", CHAT, ASKED),
            ("POST", RESPONSES, RESPONSE),
            ("GET", "/version", b""),
        )
        for headers in (
            {"x-tierflow-max-teir": "edge"},
            {"x-tierflow-colour": "red"},
            {"x-tierflow-privacy": "secret"},
            {"x-tierflow-max-tier": "sky"},
        )
    ]
    + [
        OddRequest("POST", path, ASKED_AUTO, {f"x-tierflow-{name}": value})
        for path in (CHAT, COMPLETIONS)
        for name, value in (
            ("max-tier", "sky"),
            ("deadline-ms", "soon"),
            ("min-quality", ""),
            ("session", "s" * 257),
            ("priority", "urgent"),
            ("cascade-quality", "2"),
            ("resumable", "0"),
        )
    ]
    + [
        OddRequest("POST", path, gzip.compress(content), {"content-encoding": "gzip"})
        for path, content in ((CHAT, ASKED), (MESSAGES, ASKED), (RESPONSES, RESPONSE))
    ]
)
ROUTES = [
    OddRequest("POST", f"{CHAT}/", ASKED),
    OddRequest("POST", f"{RESPONSES}/", RESPONSE),
    OddRequest("POST", CHAT, ASKED.decode().encode("utf-16")),
    OddRequest("POST", "/tokenize", b'{"prompt": "hi"}'),
    OddRequest("GET", "/version"),
    OddRequest("GET", STORED),
    OddRequest("POST", f"{STORED}/cancel"),
    OddRequest("GET", "/v1/responses/a%20b"),
    OddRequest("GET", "/v1/responses/"),
    OddRequest("GET", "/health/"),
    OddRequest("GET", "/health//"),
    OddRequest("OPTIONS", "/v1/models/"),
    OddRequest("POST", TRANSCRIPTIONS, b"{}", {"content-type": "application/json"}),
    OddRequest("POST", TRANSCRIPTIONS, b"--x--", {"content-type": "multipart/form-data"}),
    chat(model="gpt-9"),
]
WRONG: list[dict[str, Any]] = [
    {"stream": "yes"},
    {"max_tokens": "five"},
    {"max_tokens": 0},
    {"max_tokens": 2.5},
    {"max_tokens": True},
    {"temperature": "hot"},
    {"temperature": 9},
    {"stop": ["a"] * 5},
    {"stop": ["a", ""]},
    {"stream_options": {"include_usage": True}},
    {"messages": []},
    {"messages": "hi"},
    {"messages": None},
    {"messages": [{"content": "hi"}]},
    {"messages": [{"role": "user", "content": None}]},
    {"messages": [{"role": "user", "content": 5}]},
    {"seed": 2**70},
    {"seed": 1.5},
    {"tools": []},
    {"tool_choice": "required"},
    {"top_logprobs": 2},
    {"response_format": {"type": "yaml"}},
    {"tierflow": {"cascade": {"x": 1}}},
]
FIELDS = [
    chat(model=model, **fields) for model in ("tierflow-auto", "rill-cloud") for fields in WRONG
] + [
    chat(model="tierflow-auto", max_tokens="2", temperature="0", stream=stream)
    for stream in ("true", "false", "1")
]
