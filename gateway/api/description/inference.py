"""The inference routes, described. The fast path takes their calls before FastAPI sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter

from gateway.api.description.answers import ANSWERS
from gateway.api.description.bodies import BODIES
from gateway.api.description.examples import EXAMPLES
from gateway.api.description.responses import (
    OF_OPERATORS,
    OF_STATE,
    REQUEST_ID,
    Responses,
    answer_headers,
    error_responses,
)
from gateway.api.description.schemas import reference
from gateway.api.error_codes import HTTP_ERRORS
from gateway.api.inference import PATHS
from gateway.api.resumable import PATHS as RESUMABLE_PATHS
from gateway.core.tier import Tier
from gateway.protocol import headers as names
from gateway.protocol.headers import PRIORITIES
from gateway.protocol.paths import (
    CANCEL_RESPONSE,
    CHAT,
    COHERE_CHAT,
    COUNT_TOKENS,
    MESSAGES,
    READ_ROUTES,
    RESPONSE_ID,
    RESPONSES,
    ROUTES,
    STORED_RESPONSE,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    VERSION,
)
from gateway.protocol.requests.cascade import MAX_QUALITY, MIN_QUALITY
from gateway.protocol.requests.header_values import MAX_DEADLINE_MS, MAX_RESUMABLE_S
from gateway.protocol.requests.request_problems import MAX_NAME_CHARS

OF_CHATS = (
    "invalid_parameter",
    "no_device",
    "too_few_members",
    "unknown_template",
    "invalid_caller",
    "quota_exceeded",
    "idempotency_running",
    "idempotency_mismatch",
    "empty_answer",
    "no_likelihood",
    *OF_STATE,
)
"""Errors of the models that are composed of others' answers."""
OF_RESUMPTIONS = ("unknown_stream", "stream_gone", "stream_lost", "stream_replaced", *OF_STATE)
OF_OTHER_ROUTES = (
    *OF_OPERATORS,
    "key_exists",
    "key_in_settings",
    "keys_not_kept",
    "keys_changed",
    "unknown_key",
    "invalid_body",
    "not_found",
    "method_not_allowed",
    "unknown_answer",
    "already_judged",
    "being_judged",
    "invalid_device_token",
    "revoked_device_token",
    "unknown_device_token",
    "invalid_enrolment_token",
    "too_many_attempts",
    "invalid_name",
    "name_taken",
    "name_in_settings",
    "unknown_device",
)
STREAMED = RESUMABLE_PATHS | {
    MESSAGES,
    STORED_RESPONSE,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    COHERE_CHAT,
}
"""Routes whose answers may be streams of events."""
OF_STORED = ("unknown_response",)
OF_FORMS = ("invalid_form",)
SUMMARIES: Mapping[str, str] = {
    CHAT: "A chat completion, of an engine that routing picks or of a virtual model",
    MESSAGES: "A message of Anthropic's API, of an engine that routing picks",
    COUNT_TOKENS: "How many tokens a prompt of Anthropic's API has",
    STORED_RESPONSE: "A response that an engine has kept, from the endpoint that has it",
    CANCEL_RESPONSE: "Cancel a response that runs in the background",
    VERSION: "The version of an engine",
}
_READ_ANSWERS: Mapping[str, str] = {
    STORED_RESPONSE: "ResponsesAnswer",
    CANCEL_RESPONSE: "ResponsesAnswer",
    VERSION: "EngineVersion",
}


def documented_inference(handler: Callable[..., Any]) -> APIRouter:
    router = APIRouter(tags=["inference"])
    for path in sorted(PATHS):
        router.add_api_route(
            path,
            handler,
            methods=["POST"],
            operation_id=path.strip("/").replace("/", "_"),
            summary=SUMMARIES.get(path, "Passed to an engine of the pool that routing picks"),
            responses=_responses(path),
            openapi_extra={
                "requestBody": {
                    "required": True,
                    "content": {
                        _content_type(path): {
                            "schema": reference(BODIES[path]),
                            "example": EXAMPLES[path],
                        }
                    },
                },
                "parameters": _header_parameters(path),
            },
        )
    for path, method in READ_ROUTES.items():
        router.add_api_route(
            path,
            handler,
            methods=[method],
            operation_id=f"{method.lower()}{path}".replace("/", "_").translate(_NO_BRACES),
            summary=SUMMARIES[path],
            responses=_responses(path),
            openapi_extra={"parameters": [*_PATH_AND_QUERY[path], *_header_parameters(path)]},
        )
    return router


_NO_BRACES = str.maketrans("", "", "{}")
_RESPONSE_ID = {
    "name": "response_id",
    "in": "path",
    "required": True,
    "description": "the id that the response has",
    "schema": {"type": "string", "pattern": f"^{RESPONSE_ID}$"},
}
_STREAM = {
    "name": "stream",
    "in": "query",
    "required": False,
    "description": "as a stream of the events that the response consists of",
    "schema": {"type": "boolean"},
}
_STARTING_AFTER = {
    "name": "starting_after",
    "in": "query",
    "required": False,
    "description": "in a stream: the number of the last event that the caller has",
    "schema": {"type": "integer", "minimum": 0},
}
_PATH_AND_QUERY: Mapping[str, list[dict[str, Any]]] = {
    STORED_RESPONSE: [_RESPONSE_ID, _STREAM, _STARTING_AFTER],
    CANCEL_RESPONSE: [_RESPONSE_ID],
    VERSION: [],
}


def _content_type(path: str) -> str:
    return "multipart/form-data" if ROUTES[path].form else "application/json"


def _header_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, **described}
        for name, described in _headers(path).items()
    ]


def error_codes_of(path: str) -> list[str]:
    """The codes that an inference route may answer with: all that are not another route's own."""
    elsewhere = set(OF_OTHER_ROUTES)
    if path not in (RESPONSES, STORED_RESPONSE, CANCEL_RESPONSE):
        elsewhere |= set(OF_STORED)
    if path not in ROUTES or not ROUTES[path].form:
        elsewhere |= set(OF_FORMS)
    if path != CHAT:
        elsewhere |= set(OF_CHATS)
    if path not in RESUMABLE_PATHS:
        elsewhere |= set(OF_RESUMPTIONS)
    elif path != CHAT:
        elsewhere -= set(OF_RESUMPTIONS)
    return [code for code in HTTP_ERRORS if code not in elsewhere and code != "internal_error"]


def _responses(path: str) -> Responses:
    answer = ANSWERS.get(path) or _READ_ANSWERS[path]
    content: dict[str, Any] = {"application/json": {"schema": reference(answer)}}
    if path in STREAMED:
        content["text/event-stream"] = {}
    if path in ROUTES and ROUTES[path].form:
        content |= {kind: {"schema": {"type": "string"}} for kind in _TEXTS}
    found: Responses = {
        200: {
            "description": "the engine's own answer; a stream of events where `stream` is true",
            "content": content,
            "headers": answer_headers((REQUEST_ID, *_ANSWER_HEADERS, *_STREAM_HEADERS)),
        }
    }
    for status, response in error_responses(*error_codes_of(path)).items():
        headers = response["headers"] | answer_headers((REQUEST_ID, *_ANSWER_HEADERS))
        found[status] = response | {"headers": headers}
    found["4XX"] = {
        "description": "the engine's refusal of this request, in its own words",
        "content": {"application/json": {"schema": {}}},
        "headers": answer_headers((REQUEST_ID, *_ANSWER_HEADERS)),
    }
    return found


_TEXTS = ("text/plain", "text/vtt", "application/x-subrip")
"""What engines write a speech's text as, by `response_format`."""
_ANSWER_HEADERS = (
    (names.TIER, "the tier that answered"),
    (names.ENDPOINT, "the endpoint that answered"),
    (names.REASON, "why the request went there"),
    (names.PREDICTION, "of a request with a `prediction`: used, or not-used and why"),
    ("x-ratelimit-limit-requests", "the key's requests per minute, where it has a limit"),
    ("x-ratelimit-remaining-requests", "what is left of them"),
    ("x-ratelimit-reset-requests", "until all of them are there again, such as 6m0s"),
    ("x-ratelimit-limit-tokens", "the key's tokens per minute, or per day"),
    ("x-ratelimit-remaining-tokens", "what is left of them"),
    ("x-ratelimit-reset-tokens", "until all of them are there again"),
)
"""Of errors where an engine was asked, and a key has limits."""
_STREAM_HEADERS = (
    (names.STREAM, "the id of a resumable stream"),
    (names.RESUMABLE, "seconds for which a resumable stream survives its connection"),
)


def _headers(path: str) -> dict[str, dict[str, Any]]:
    """The request headers that the gateway reads, by name."""
    found: dict[str, dict[str, Any]] = {
        names.MAX_TIER: _text("no tier above this one", enum=[*Tier]),
        names.MIN_QUALITY: _name("this member of the family, or a larger one"),
        names.DEADLINE_MS: {
            "description": "milliseconds within which the answer is to begin",
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DEADLINE_MS},
        },
        names.PRIVACY: _text("who may see the request", enum=["public", "owner", "private"]),
        names.SESSION: _name("requests of one session prefer the same endpoint"),
        names.PRIORITY: _text("whose turn is first", enum=[*PRIORITIES, *map(str, range(10))]),
        names.MARKS: _text(
            "1: chunks of a stream with drafts say who made their tokens, in `tierflow.by`",
            enum=["0", "1"],
        ),
        names.REQUEST_ID: _text("kept, sent to the engine, returned and logged"),
        "traceparent": _text("passed to the engine"),
        "tracestate": _text("passed to the engine"),
    }
    if path == CHAT:
        found[names.CASCADE_QUALITY] = {
            "description": "tierflow-cascade: the share of the top tier's accuracy to keep",
            "schema": {"type": "number", "minimum": MIN_QUALITY, "maximum": MAX_QUALITY},
        }
        found[names.IDEMPOTENCY_KEY] = _name(
            "tierflow-collective: a repetition gets the first one's answer"
        )
    if path in RESUMABLE_PATHS:
        found[names.RESUMABLE] = {
            "description": "seconds for which a stream is to survive its connection",
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_RESUMABLE_S},
        }
        found[names.LAST_EVENT_ID] = _text("the last event that the caller has of its stream")
    return found


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", **more}}


def _name(description: str) -> dict[str, Any]:
    return _text(description, minLength=1, maxLength=MAX_NAME_CHARS)
