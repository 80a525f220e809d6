"""From headers and a body to an `InferenceRequest`; every complaint names its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from gateway.api.requests.request_headers import terms
from gateway.core.access.key import ANONYMOUS, Identity
from gateway.core.bodies.body import (
    MAX_NESTING,
    field_nested_too_deep,
    model_places,
    prompt_chars_and_key,
)
from gateway.core.bodies.body_outline import BodyOutline
from gateway.core.bodies.form_body import FormBody, read_form
from gateway.core.bodies.media_urls import MediaName
from gateway.core.bodies.request_bounds import RequestBounds, check_bounds
from gateway.core.privacy import PrivacyRule
from gateway.core.streams.continuation import continuation_terms
from gateway.core.streams.protocols import answer_count, several_texts
from gateway.core.types import Caller, InferenceRequest
from gateway.errors import GatewayError, InvalidRequest, UnknownResponse
from gateway.protocol.paths import (
    CHAT,
    COMPLETIONS,
    OTHER,
    RESPONSES,
    ROUTES,
    VERSION,
    ReadRoute,
    is_response_id,
)
from gateway.protocol.requests.prediction import FIELD as PREDICTION
from gateway.protocol.requests.request_problems import (
    NO_OBJECT,
    RequestProblem,
    json_problem,
    model_problem,
)
from gateway.protocol.virtual_models import AUTO, COLLECTIVE
from gateway.serving.chat.request import check, check_completion

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
MAX_QUERY_CHARS = 1024
MAX_CONTINUED_BYTES = 1024 * 1024
"""The largest body that is parsed whole when another engine goes on with its answer."""
NOBODY = Caller()


def parse(
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    id: str,
    received: float,
    privacy: PrivacyRule,
    peer: str = "",
    identity: Identity = ANONYMOUS,
    continues: bool = False,
    outline: BodyOutline | None = None,
    bounds: RequestBounds | None = None,
) -> InferenceRequest:
    """`privacy` says what the classes mean, `peer` is the address that the request came from,
    `identity` whose it is; `continues`: streams are continued whose engine breaks. Of a large body
    the `outline` is parsed, and what it asks for must keep to the `bounds`. What is wrong is the
    request's `fault`, beside all that could be read."""
    try:
        form, fields = _read(path, headers, body, outline)
        model, in_body = _model(path, fields)
    except InvalidRequest as error:
        return unread(path, id, received, error, Caller(key=identity.key))
    stream, fault = _stream(path, fields)
    if form is None:
        fault = _nesting(body if outline is None else outline.text, fields) or fault
    asked, caller, stated, problem = terms(
        headers, peer, identity, privacy, repeatable=path == CHAT and model == COLLECTIVE
    )
    fault = problem or fault
    chars, key = prompt_chars_and_key(fields, path)
    chars += 0 if outline is None else outline.chars_left_out
    media_names: tuple[MediaName, ...] = ()
    if bounds is not None and fault is None:
        media_names, fault = _media_names(fields, chars, bounds)
    continues = continues and len(body) <= MAX_CONTINUED_BYTES
    return InferenceRequest(
        id=id,
        path=path,
        model=model,
        body=body,
        received=received,
        stream=stream,
        prompt_chars=chars,
        prefix_key=key,
        max_tokens=_max_tokens(fields),
        model_in_body=in_body,
        model_places=_model_places(form, outline),
        demands=asked,
        privacy=stated,
        caller=caller,
        fault=fault,
        continuation=continuation_terms(path, fields, chars) if continues else None,
        several=several_texts(path, fields),
        answers=answer_count(path, fields),
        predicted=fields.get(PREDICTION) is not None and path in (CHAT, COMPLETIONS),
        media_names=media_names,
        follows=_follows(path, fields),
    )


def _read(
    path: str, headers: Mapping[str, str], body: bytes, outline: BodyOutline | None
) -> tuple[FormBody | None, Mapping[str, Any]]:
    """The form that the body is, if the route takes one, and its fields. Raises InvalidRequest."""
    if ROUTES.get(path, OTHER).form:
        form = read_form(headers.get("content-type", ""), body)
        return form, form.fields
    return None, _fields(body) if outline is None else _outlined_fields(outline)


def _stream(path: str, fields: Mapping[str, Any]) -> tuple[bool, InvalidRequest | None]:
    """Whether the answer is to be a stream, and what is wrong with the fields of a chat."""
    if path != CHAT:
        return _is_true(fields.get("stream")), _prediction_fault(path, fields)
    try:
        return _is_true(check(fields).stream), None
    except InvalidRequest as error:
        return _is_true(fields.get("stream")), error


def _prediction_fault(path: str, fields: Mapping[str, Any]) -> InvalidRequest | None:
    if path != COMPLETIONS or fields.get(PREDICTION) is None:
        return None
    try:
        check_completion(fields)
    except InvalidRequest as error:
        return error
    return None


def _model_places(
    form: FormBody | None, outline: BodyOutline | None
) -> tuple[tuple[int, int], ...] | None:
    """Where the model stands in the body, as far as it is known."""
    if outline is None:
        return None if form is None else form.model_places
    return tuple(
        (outline.place(start), outline.place(end))
        for start, end in model_places(bytes(outline.text))
    )


def _media_names(
    fields: Mapping[str, Any], chars: int, bounds: RequestBounds
) -> tuple[tuple[MediaName, ...], InvalidRequest | None]:
    try:
        return check_bounds(fields, chars, bounds), None
    except InvalidRequest as error:
        return (), error


def parse_read(
    route: ReadRoute,
    headers: Mapping[str, str],
    query: str,
    *,
    id: str,
    received: float,
    privacy: PrivacyRule,
    peer: str,
    identity: Identity,
    method: str,
    model: str,
) -> InferenceRequest:
    """A request of a route without a body. `model`: a name for which an endpoint is to be chosen,
    and by which it is seen whether the caller may."""
    asked, caller, stated, problem = terms(headers, peer, identity, privacy)
    target = route.path.replace("{response_id}", route.response_id)
    fault: GatewayError | None = problem
    if route.path != VERSION and not route.response_id:
        fault = UnknownResponse(
            "no endpoint has this response: its id is none that an engine gives",
            param="response_id",
            code="unknown_response",
        )
    if len(query) > MAX_QUERY_CHARS:
        fault = InvalidRequest(
            f"the query may have {MAX_QUERY_CHARS} characters", code="invalid_value"
        )
    streams = "stream" in (found := dict(parse_qsl(query))) and _is_true(found["stream"])
    return InferenceRequest(
        id=id,
        path=route.path,
        model=model,
        body=b"",
        received=received,
        stream=streams,
        model_in_body=False,
        demands=asked,
        privacy=stated,
        caller=caller,
        fault=fault,
        method=method,
        target=f"{target}?{query}" if query else target,
    )


def _follows(path: str, fields: Mapping[str, Any]) -> str:
    """The stored response that this one goes on from; "": none, or none that has such an id."""
    previous = fields.get("previous_response_id") if path == RESPONSES else None
    return previous if isinstance(previous, str) and is_response_id(previous) else ""


def _nesting(body: bytes | bytearray, fields: Mapping[str, Any]) -> InvalidRequest | None:
    name = field_nested_too_deep(body, fields)
    if name is None:
        return None
    return InvalidRequest(
        f"{name[:64]}: lists and objects are nested more than {MAX_NESTING} deep",
        param=name[:64],
        code="body_too_complex",
    )


def _is_true(value: Any) -> bool:
    """As vLLM reads a boolean."""
    return (isinstance(value, int | float) and value == 1) or (
        isinstance(value, str) and value.lower() in _TRUE
    )


def unread(
    path: str, id: str, received: float, fault: GatewayError, caller: Caller = NOBODY
) -> InferenceRequest:
    """A request of which only the fault is known: it is refused and reported as any other."""
    return InferenceRequest(
        id=id, path=path, model="", body=b"", received=received, fault=fault, caller=caller
    )


def _outlined_fields(outline: BodyOutline) -> dict[str, Any]:
    """Raises InvalidRequest, also for a body that would take too long to parse."""
    if outline.problem:
        raise InvalidRequest(f"the body has {outline.problem}", code="body_too_complex")
    return _fields(outline.text, outline)


def _fields(body: bytes | bytearray, outline: BodyOutline | None = None) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        place = ""
        if outline is not None:
            read = error.doc[: error.pos].encode(errors="replace")
            place = f"byte {outline.place(len(read))}"
        raise _invalid(json_problem(error, place)) from None
    if not isinstance(fields, dict):
        raise _invalid(NO_OBJECT)
    return fields


def _model(path: str, fields: Mapping[str, Any]) -> tuple[str, bool]:
    model = fields.get("model")
    if model is None and ROUTES.get(path, OTHER).model_optional:
        return AUTO, False
    if problem := model_problem(model):
        raise _invalid(problem)
    return str(model), True


def _invalid(problem: RequestProblem) -> InvalidRequest:
    return InvalidRequest(problem.message, param=problem.param, code=problem.code)


def _max_tokens(fields: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        value = fields.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None
