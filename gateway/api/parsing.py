"""From an ASGI scope and a body to an `InferenceRequest`; every complaint names its field."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.types import Scope

from gateway.core.access.key import ANONYMOUS, Identity
from gateway.core.access.quota import RequestUse
from gateway.core.admission import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    NORMAL_PRIORITY,
    PRIORITIES,
)
from gateway.core.body import (
    MAX_NESTING,
    field_nested_too_deep,
    model_places,
    prompt_chars_and_key,
)
from gateway.core.body_outline import BodyOutline
from gateway.core.form_body import FormBody, read_form
from gateway.core.media_urls import MediaName
from gateway.core.privacy import PUBLIC, Privacy, PrivacyRule, PrivacyTerms
from gateway.core.request_bounds import RequestBounds, check_bounds
from gateway.core.streams.continuation import continuation_terms
from gateway.core.streams.protocols import answer_count, several_texts
from gateway.core.tier import Tier
from gateway.core.types import Caller, Demands, InferenceRequest
from gateway.errors import EncodedBody, GatewayError, InvalidRequest
from gateway.protocol import headers as names
from gateway.protocol.cascade import MAX_QUALITY, MIN_QUALITY
from gateway.protocol.nearest import nearest
from gateway.protocol.paths import (
    CHAT,
    OTHER,
    RESPONSES,
    ROUTES,
    ReadRoute,
    is_response_id,
)
from gateway.protocol.virtual_models import AUTO
from gateway.serving.chat.request import check

READ = frozenset(
    name.encode()
    for name in (
        names.MAX_TIER,
        names.MIN_QUALITY,
        names.DEADLINE_MS,
        names.SESSION,
        names.CASCADE_QUALITY,
        names.PRIORITY,
        names.PRIVACY,
        names.REQUEST_ID,
        names.IDEMPOTENCY_KEY,
        names.AUTHORIZATION,
        names.API_KEY,
        names.RESUMABLE,
        names.LAST_EVENT_ID,
        "content-type",
        "content-length",
        "content-encoding",
        "traceparent",
        "tracestate",
    )
)
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_OURS = names.OURS.encode()
MAX_DEADLINE_MS = 24 * 3600 * 1000.0
MAX_RESUMABLE_S = 3600
MAX_NAME_CHARS = 256
MAX_QUERY_CHARS = 1024
MAX_CONTINUED_BYTES = 1024 * 1024
"""The largest body that is parsed whole when another engine goes on with its answer."""
NOBODY = Caller()


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers that matter here, by lower-case name. A key in `x-api-key` is read as a bearer
    token, where there is no other."""
    found = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in raw
        if name in READ or name.startswith(_OURS)
    }
    if names.API_KEY in found:
        found.setdefault(names.AUTHORIZATION, f"Bearer {found[names.API_KEY]}")
    return found


def authorization_of(scope: Scope) -> str:
    """What a request shows to say who it is, as an Authorization header; "": nothing."""
    return read_headers(scope["headers"]).get(names.AUTHORIZATION, "")


def peer_address(scope: Scope) -> str:
    """The address that a connection comes from, behind a proxy the proxy's; "unknown" where it has
    none."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def request_id(headers: Mapping[str, str]) -> str:
    """The caller's own id when it is a harmless one, else a new one."""
    return names.harmless_id(headers.get(names.REQUEST_ID, "")) or secrets.token_hex(16)


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
    form: FormBody | None = None
    try:
        if ROUTES.get(path, OTHER).form:
            form = read_form(headers.get("content-type", ""), body)
            fields: dict[str, Any] = dict(form.fields)
        else:
            fields = _fields(body) if outline is None else _outlined_fields(outline)
        model, in_body = _model(path, fields)
    except InvalidRequest as error:
        return unread(path, id, received, error, Caller(key=identity.key))
    stream = fields.get("stream")
    fault: InvalidRequest | None = None
    if path == CHAT:
        try:
            stream = check(fields).stream
        except InvalidRequest as error:
            fault = error
    if form is None:
        fault = _nesting(body if outline is None else outline.text, fields) or fault
    asked, caller, terms, problem = _terms(headers, peer, identity, privacy)
    fault = problem or fault
    chars, key = prompt_chars_and_key(fields, path)
    places = None if form is None else form.model_places
    if outline is not None:
        chars += outline.chars_left_out
        places = tuple(
            (outline.place(start), outline.place(end))
            for start, end in model_places(bytes(outline.text))
        )
    media_names: tuple[MediaName, ...] = ()
    if bounds is not None and fault is None:
        try:
            media_names = check_bounds(fields, chars, bounds)
        except InvalidRequest as error:
            fault = error
    continues = continues and len(body) <= MAX_CONTINUED_BYTES
    return InferenceRequest(
        id=id,
        path=path,
        model=model,
        body=body,
        received=received,
        stream=_is_true(stream),
        prompt_chars=chars,
        prefix_key=key,
        max_tokens=_max_tokens(fields),
        model_in_body=in_body,
        model_places=places,
        demands=asked,
        privacy=terms,
        caller=caller,
        fault=fault,
        continuation=continuation_terms(path, fields, chars) if continues else None,
        several=several_texts(path, fields),
        answers=answer_count(path, fields),
        media_names=media_names,
        follows=_follows(path, fields),
    )


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
    asked, caller, terms, fault = _terms(headers, peer, identity, privacy)
    target = route.path.replace("{response_id}", route.response_id)
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
        privacy=terms,
        caller=caller,
        fault=fault,
        method=method,
        target=f"{target}?{query}" if query else target,
    )


def _terms(
    headers: Mapping[str, str], peer: str, identity: Identity, privacy: PrivacyRule
) -> tuple[Demands, Caller, PrivacyTerms, InvalidRequest | None]:
    """What the headers say, and what is wrong with them."""
    asked, caller, terms = Demands(), Caller(key=identity.key), PUBLIC
    try:
        asked, caller = demands(headers), _caller(headers, peer, identity)
        terms = _privacy(headers.get(names.PRIVACY), privacy, identity.scope.privacy)
    except InvalidRequest as error:
        return asked, caller, terms, error
    return asked, caller, terms, None


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


def check_encoding(encoding: str | None) -> None:
    """Raises EncodedBody for a body that is compressed: `encoding` is its Content-Encoding."""
    if encoding and encoding.strip().lower() != "identity":
        raise EncodedBody(
            "content-encoding: expected none; bodies are taken uncompressed",
            param="content-encoding",
            code="encoded_body",
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
        place = f"line {error.lineno} column {error.colno}"
        if outline is not None:
            read = error.doc[: error.pos].encode(errors="replace")
            place = f"byte {outline.place(len(read))}"
        raise InvalidRequest(
            f"the body is not valid JSON: {error.msg} at {place}", code="invalid_json"
        ) from None
    if not isinstance(fields, dict):
        raise InvalidRequest("the body must be a JSON object", code="invalid_json")
    return fields


def _model(path: str, fields: Mapping[str, Any]) -> tuple[str, bool]:
    model = fields.get("model")
    if model is None and ROUTES.get(path, OTHER).model_optional:
        return AUTO, False
    if not isinstance(model, str) or not model or len(model) > MAX_NAME_CHARS:
        raise InvalidRequest(
            "model: give the name of a served model as a string; GET /v1/models lists them",
            param="model",
            code="missing_model" if model is None else "invalid_model",
        )
    return model, True


def _max_tokens(fields: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        value = fields.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None


def demands(headers: Mapping[str, str]) -> Demands:
    """Read the `x-tierflow-*` headers. Raises InvalidRequest that names the header, also for one
    that there is not."""
    for name in headers:
        if name.startswith(names.OURS) and name not in names.ALL:
            raise _unknown_header(name[:MAX_NAME_CHARS])
    return Demands(
        max_tier=_tier(headers.get(names.MAX_TIER)),
        min_quality=_name(names.MIN_QUALITY, headers.get(names.MIN_QUALITY)),
        deadline_s=_deadline(headers.get(names.DEADLINE_MS)),
        session=_name(names.SESSION, headers.get(names.SESSION)),
        cascade_quality=_quality(headers.get(names.CASCADE_QUALITY)),
        resumable_s=_resumable(headers.get(names.RESUMABLE)),
        priority=_priority(headers.get(names.PRIORITY)),
    )


def _caller(headers: Mapping[str, str], peer: str, identity: Identity) -> Caller:
    """Told apart by who it is, where it has shown that; else by the session, where the request
    names one, else by the address. Raises InvalidRequest."""
    session, key = headers.get(names.SESSION), headers.get(names.IDEMPOTENCY_KEY)
    authorization = headers.get(names.AUTHORIZATION, "")
    owner = owner_of(identity, authorization)
    if key is not None and not owner:
        raise InvalidRequest(
            f"{names.IDEMPOTENCY_KEY}: send an Authorization header as well; without one nobody "
            "can tell your key from another caller's",
            param=names.IDEMPOTENCY_KEY,
            code="invalid_header",
        )
    unnamed = f"address {peer}" if session is None else f"session {session.strip()}"
    return Caller(
        authorization=authorization,
        owner=owner,
        idempotency_key=_name(names.IDEMPOTENCY_KEY, key),
        id=identity.id or unnamed,
        key=identity.key,
        scope=identity.scope,
        fan_out=identity.quotas.fan_out,
        used=RequestUse() if identity.key else None,
    )


def owner_of(identity: Identity, authorization: str) -> str:
    """Whose a caller's idempotency keys, streams and answers are, a secret: its key's, under
    whatever rotation, else of the Authorization header as it came; "" without one."""
    return identity.owner or (authorization and f"authorization {authorization}")


def _privacy(
    value: str | None, rule: PrivacyRule, allowed: Collection[Privacy] | None
) -> PrivacyTerms:
    """`allowed`: the classes that the caller's key is for, None: all. Where the request names none,
    it has the most open one of them."""
    if value is None:
        return next((t for t in rule.classes.values() if not allowed or t.name in allowed), PUBLIC)
    terms = next((t for t in rule.classes.values() if t.name == value.strip().lower()), None)
    if terms is None:
        raise bad_header(names.PRIVACY, f"one of {', '.join(rule.classes)}")
    return terms


def _tier(value: str | None) -> Tier | None:
    if value is None:
        return None
    try:
        return Tier(value.strip().lower())
    except ValueError:
        raise bad_header(names.MAX_TIER, f"one of {', '.join(Tier)}") from None


def _deadline(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        milliseconds = float(value)
    except ValueError:
        milliseconds = 0.0
    if not 0.0 < milliseconds <= MAX_DEADLINE_MS:
        raise bad_header(names.DEADLINE_MS, f"milliseconds above 0, at most {MAX_DEADLINE_MS:.0f}")
    return milliseconds / 1000.0


def _quality(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        quality = float(value)
    except ValueError:
        quality = 0.0
    if not MIN_QUALITY <= quality <= MAX_QUALITY:
        raise bad_header(names.CASCADE_QUALITY, f"a share from {MIN_QUALITY} to {MAX_QUALITY}")
    return quality


def _resumable(value: str | None) -> int | None:
    if value is None:
        return None
    seconds = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0
    if not 1 <= seconds <= MAX_RESUMABLE_S:
        raise bad_header(names.RESUMABLE, f"whole seconds from 1 to {MAX_RESUMABLE_S}")
    return seconds


def _priority(value: str | None) -> int:
    if value is None:
        return NORMAL_PRIORITY
    word = value.strip().lower()
    priority = PRIORITIES.get(word)
    if priority is not None:
        return priority
    if len(word) == 1 and word.isascii() and word.isdigit():
        return int(word)
    known = ", ".join(PRIORITIES)
    raise bad_header(
        names.PRIORITY, f"one of {known}, or a digit from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}"
    )


def _name(header: str, value: str | None) -> str | None:
    if value is None:
        return None
    if not value.strip() or len(value) > MAX_NAME_CHARS:
        raise bad_header(header, f"1 to {MAX_NAME_CHARS} characters")
    return value.strip()


def _unknown_header(header: str) -> InvalidRequest:
    meant = nearest(header, names.ALL)
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(names.ALL))}"
    return InvalidRequest(
        f"{header}: there is no such header; {hint}", param=header, code="invalid_header"
    )


def bad_header(header: str, expected: str) -> InvalidRequest:
    """`expected` ends the sentence, such as "milliseconds above 0"."""
    return InvalidRequest(f"{header}: expected {expected}", param=header, code="invalid_header")
