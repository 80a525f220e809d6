"""Whose fault is an answer that is none: the endpoint's, or the caller's?

What the endpoint is to blame for is an `UpstreamError`, and another endpoint is asked. What the
caller is to blame for passes through, as the engine says it. Until the first event of a stream
nothing has been sent to the caller, so an error in its place counts as the status that it names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from gateway.core.streams.protocols import stream_protocol
from gateway.core.streams.sse import each_event, payload
from gateway.core.upstream_errors import (
    bad_status,
    engine_busy,
    engine_denied,
    no_answer,
    no_route,
    unreadable,
)
from gateway.errors import EngineFailed, UpstreamError
from gateway.protocol.errors.engine_error import read_error
from gateway.protocol.paths import OTHER, RESPONSES, ROUTES

DENIED = frozenset({401, 402, 403, 407})
"""The gateway's own credentials, or its account, are refused: engines never see the caller's."""
OF_THE_ENDPOINT = frozenset({408, 421, 425})
"""Too slow a connection, the wrong server, too early: none of it is in the request."""
_NO_ROUTE_STATUSES = frozenset({404, 405, 501})
"""By these, and the words behind them, an engine says that it has no such route."""
_NO_ROUTE_WORDS = ("Not Found", "Method Not Allowed")
IN_JSON = frozenset({400, 404, 405, 410})
"""An engine says in JSON what is wrong with a request. Where no JSON comes, it was no engine that
answered: a proxy without its engine, or another server at its address."""
_NO_LIST = re.compile(rb"\s*:\s*(?:\[\s*\]|[^\[\s])")
_STATUS = re.compile("[45][0-9][0-9]")
NOTHING = frozenset({b"", b"{}", b"[]", b"null"})
_OPENED, _CLOSED = (b"{", b"["), (b"}", b"]")
CERTAIN_REFUSAL = 400
"""The status by which engines say that a request is wrong. Any other from 400 on may come from one
replica alone: another server at its address, an older version, a smaller limit."""
MAX_RETRY_AFTER_S = 3600.0

_ERROR = re.compile(
    rb'\s*\{\s*"(?:error"\s*:\s*[{"]|object"\s*:\s*"error"'
    rb'|type"\s*:\s*"(?:error|response\.failed)")'
)


@dataclass(frozen=True, slots=True)
class EngineRefusal:
    """An engine's error with the status that it names: the caller's request is wrong. `no_route`:
    the engine does not have the route at all."""

    status: int
    body: bytes
    no_route: bool = False


def status_fault(
    endpoint: str, path: str, status: int, headers: Mapping[str, str]
) -> UpstreamError | None:
    """By the status alone, before the body has come. None where it is not the endpoint's fault, or
    where only the body tells."""
    if status == 200:
        return None
    if status == 429:
        return engine_busy(endpoint, retry_after_s(headers))
    if status in DENIED:
        return engine_denied(endpoint, path, status)
    if status == 503:
        pause = retry_after_s(headers)
        return bad_status(endpoint, path, status, certain=True, retry_after=pause)
    if status < 200 or 300 <= status < 400 or status in OF_THE_ENDPOINT:
        return bad_status(endpoint, path, status, certain=True)
    if status >= 500 and status not in _NO_ROUTE_STATUSES:
        return bad_status(endpoint, path, status)
    return None


def doubtful_refusal(status: int) -> bool:
    """Whether another endpoint should be asked before the caller is told that its request is
    wrong. Of statuses that are no fault of the endpoint's by themselves."""
    return status > CERTAIN_REFUSAL


def body_fault(
    endpoint: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> UpstreamError | EngineRefusal | None:
    """By the whole body of an answer whose status is no fault."""
    if status in IN_JSON and _json_object(body) is None:
        return bad_status(endpoint, path, status, certain=True)
    if status in _NO_ROUTE_STATUSES and _has_no_route(status, body):
        return EngineRefusal(404, no_route_body(path), no_route=True)
    if status >= 300:
        return None
    if len(body) < 16 and body.strip() in NOTHING and not _is_plain_text(path, headers):
        return no_answer(endpoint)
    if headers.get("content-type", "").lower().startswith("text/html"):
        return no_answer(endpoint)
    if headers.get("content-type", "").lower().startswith("application/json") and not (
        body[:64].lstrip()[:1] in _OPENED and body[-64:].rstrip()[-1:] in _CLOSED
    ):
        return unreadable(endpoint)
    if _ERROR.match(body):
        return _error_fault(endpoint, path, headers, body)
    if not _has_answer(path, body):
        return no_answer(endpoint)
    return _abort_fault(endpoint, path, body)


def _is_plain_text(path: str, headers: Mapping[str, str]) -> bool:
    """Whether it is a speech's text, which is empty where nobody speaks."""
    kind = headers.get("content-type", "").lower()
    return ROUTES.get(path, OTHER).form and kind.startswith("text/plain")


def named_fault(
    endpoint: str, path: str, headers: Mapping[str, str], stream: bytes
) -> UpstreamError | EngineRefusal | None:
    """By the first event of a stream that fails with it; None where that event is no error."""
    data = next(filter(None, map(payload, each_event(stream))), b"")
    return _error_fault(endpoint, path, headers, data) if _ERROR.match(data) else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds in Retry-After; a date counts from the answer's own."""
    value = headers.get("retry-after", "")
    try:
        if value.strip().isdecimal():
            return min(MAX_RETRY_AFTER_S, float(value))
        until, sent = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
        return min(MAX_RETRY_AFTER_S, max(0.0, (until - sent).total_seconds()))
    except (OverflowError, TypeError, ValueError):
        return None


def no_route_body(path: str) -> bytes:
    """The error that a caller gets where no engine has the route that it asks for."""
    error = {
        "message": no_route(path),
        "type": "invalid_request_error",
        "param": None,
        "code": "route_not_served",
    }
    return orjson.dumps({"error": error})


def _has_no_route(status: int, body: bytes) -> bool:
    """A web framework's own words; 501 is an engine's whose model can't do what the route is
    for."""
    if status == 501:
        return True
    read = _json_object(body) or {}
    error = read.get("error")
    if isinstance(error, dict):
        return error.get("message") in _NO_ROUTE_WORDS
    # An engine that has the route explains itself in an error; older ones without its wrapping.
    return error is None and read.get("object") != "error"


def _has_answer(path: str, body: bytes) -> bool:
    """Whether there is anything in a whole body of this route. It is parsed only where a look at
    the bytes leaves doubt; a body that is no JSON object may be of another dialect's, but not of
    chat's or completions'."""
    route = ROUTES.get(path, OTHER)
    name = route.answer
    if not name:
        return True
    if body[:64].lstrip()[:1] != b"{":
        return name != "choices" and path != RESPONSES
    key = b'"%b"' % name.encode()
    place = body.find(key)
    if place < 0:
        return False
    if not _NO_LIST.match(body, place + len(key)):
        return True
    found = (_json_object(body) or {}).get(name)
    return isinstance(found, list) and (bool(found) or route.empty)


def _error_fault(
    endpoint: str, path: str, headers: Mapping[str, str], data: bytes
) -> UpstreamError | EngineRefusal:
    body = _json_object(data) or {}
    status = _named_status(body)
    fault = status_fault(endpoint, path, status, headers)
    if fault is None:
        return EngineRefusal(status, data)
    if status >= 500:
        fault.reason = read_error(data).words
    return fault


def _abort_fault(endpoint: str, path: str, body: bytes) -> EngineFailed | None:
    """An engine that shuts down gives its answers up, and says so where they would end."""
    protocol = stream_protocol(path)
    if any(mark in body for mark in protocol.aborts):
        try:
            protocol.check(_json_object(body) or {}, endpoint)
        except EngineFailed as failure:
            return failure
    return None


def _named_status(body: Mapping[str, Any]) -> int:
    """Of an error that came with a status of 200; 500 where it names none."""
    nested = body.get("error")
    for error in (nested, body):
        if isinstance(error, dict):
            for name in ("code", "status", "status_code"):
                status = str(error.get(name))
                if _STATUS.fullmatch(status):
                    return int(status)
    return 500


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None
