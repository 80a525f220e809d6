from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.requests.parsing import parse
from gateway.api.requests.request_headers import READ, demands, owner_of, read_headers, request_id
from gateway.core.access.key import ANONYMOUS, Identity, Scope
from gateway.core.bodies.body import MAX_NESTING, replace_model
from gateway.core.bodies.body_outline import BodyOutline, OutlineLimits
from gateway.core.privacy import Privacy, PrivacyRule
from gateway.core.tier import Tier
from gateway.core.types import Demands, InferenceRequest
from gateway.errors import InvalidRequest
from gateway.protocol.headers import OURS
from gateway.settings.bounds import RequestLimits
from gateway.wiring.web import request_bounds
from tests.unit.gateway.access_rig import NOW, api_key

RULE = PrivacyRule.of(owner_tiers=[Tier.EDGE], private_tiers=[])
MESSAGES = [{"role": "user", "content": "hi"}]
BODY = {"model": "m", "messages": MESSAGES}


def parsed(body: object, headers: dict[str, str] | None = None) -> InferenceRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse("/v1/chat/completions", headers or {}, raw, id="id", received=0.0, privacy=RULE)


def complaint(body: object, headers: dict[str, str] | None = None) -> InvalidRequest:
    fault = parsed(body, headers).fault
    assert isinstance(fault, InvalidRequest)
    return fault


def test_the_body_stays_as_it_came() -> None:
    body = b' {"model" : "m", "temperature":1.0e0, "unknown": [1], "messages": [{"role": "user"}]}'
    assert parsed(body).body == body


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1]", b'"text"', b"nul"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    assert complaint(body).code == "invalid_json"


@pytest.mark.parametrize("model", [None, 7, "", ["m"], "m" * 300])
def test_a_model_that_is_no_name_is_refused(model: object) -> None:
    assert complaint({"model": model}).param == "model"


def test_a_missing_model_names_the_place_that_lists_them() -> None:
    error = complaint({"messages": []})
    assert (error.code, error.param) == ("missing_model", "model")
    assert "/v1/models" in error.message


def test_tokenize_may_leave_the_model_open() -> None:
    request = parse("/tokenize", {}, b'{"prompt":"x"}', id="id", received=0.0, privacy=RULE)
    assert (request.model, request.model_in_body) == ("tierflow-auto", False)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_every_name_of_the_token_limit_is_known(name: str) -> None:
    assert parsed(BODY | {name: 9}).max_tokens == 9


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-tierflow-max-tier", "moon"),
        ("x-tierflow-deadline-ms", "soon"),
        ("x-tierflow-deadline-ms", "-5"),
        ("x-tierflow-deadline-ms", "nan"),
        ("x-tierflow-deadline-ms", "1e99"),
        ("x-tierflow-min-quality", " "),
        ("x-tierflow-session", "s" * 1000),
        ("x-tierflow-priority", "urgent"),
        ("x-tierflow-priority", "10"),
        ("x-tierflow-priority", "-1"),
        ("x-tierflow-priority", "²"),
        ("x-tierflow-marks", "yes"),
    ],
)
def test_a_wrong_demand_names_its_header(header: str, value: str) -> None:
    error = complaint(BODY, {header: value})
    assert error.param == header
    assert header in error.message


def test_a_request_with_a_wrong_header_still_says_what_it_asks() -> None:
    request = parsed(BODY | {"n": 0}, {"x-tierflow-max-tier": "moon"})
    assert request.model == "m"
    assert request.fault is not None and request.fault.code == "invalid_header"


@pytest.mark.parametrize(
    ("value", "priority"),
    [(None, 5), ("low", 2), (" Normal", 5), ("HIGH", 8), ("0", 0), ("9", 9)],
)
def test_a_priority_is_a_word_or_a_digit(value: str | None, priority: int) -> None:
    headers = {} if value is None else {"x-tierflow-priority": value}
    assert parsed(BODY, headers).demands.priority == priority


def test_a_caller_is_known_by_its_session_or_else_by_its_address() -> None:
    def caller(peer: str, **headers: str) -> str:
        raw = json.dumps(BODY).encode()
        named = {f"x-tierflow-{name}": value for name, value in headers.items()}
        return parse(
            "/v1/chat/completions", named, raw, id="id", received=0.0, privacy=RULE, peer=peer
        ).caller.id

    assert caller("10.0.0.1") == caller("10.0.0.1") != caller("10.0.0.2")
    assert caller("10.0.0.1", session="a") == caller("10.0.0.2", session="a")
    assert caller("10.0.0.1", session="a") != caller("10.0.0.1", session="b")
    assert caller("a") != caller("", session="a")


def test_demands_are_read_from_the_headers() -> None:
    headers = {
        "x-tierflow-max-tier": "Edge",
        "x-tierflow-min-quality": "rill-edge",
        "x-tierflow-deadline-ms": "1500",
        "x-tierflow-session": "s",
    }
    demands = parsed(BODY, headers).demands
    assert demands.max_tier is Tier.EDGE
    assert (demands.min_quality, demands.deadline_s, demands.session) == ("rill-edge", 1.5, "s")


def test_a_harmless_request_id_is_kept_and_another_is_replaced() -> None:
    assert request_id({"x-request-id": "trace-1:a/b"}) == "trace-1:a/b"
    for bad in ("", "a b", "x" * 129, 'a"\n', "é"):
        assert request_id({"x-request-id": bad}) not in ("", bad)


HEADER_NAMES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(sorted(READ)),
    st.binary(max_size=12).map(lambda end: OURS.encode() + end),
)


@given(st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=12))))
def test_any_headers_can_be_read_and_only_those_that_matter_are(
    raw: list[tuple[bytes, bytes]],
) -> None:
    matter = {name for name, _ in raw if name in READ or name.startswith(OURS.encode())}
    read = {name.encode("latin-1") for name in read_headers(raw)}
    # A key in `x-api-key` is read as an authorization.
    assert read - {b"authorization"} == matter - {b"authorization"}


@given(st.binary(max_size=200))
def test_any_bytes_are_either_parsed_or_refused(body: bytes) -> None:
    fault = parsed(body).fault
    assert fault is None or fault.message


def test_what_is_wrong_with_a_chat_body_is_the_request_s_fault() -> None:
    fault = parsed(BODY | {"n": 0}).fault
    assert fault is not None
    assert (fault.code, fault.param) == ("invalid_value", "n")
    assert parsed(BODY).fault is None
    assert (
        parse(
            "/v1/completions", {}, b'{"model":"m","n":0}', id="id", received=0.0, privacy=RULE
        ).fault
        is None
    )


@pytest.mark.parametrize(
    ("allowed", "header", "name"),
    [
        (None, None, "public"),
        (None, " Owner ", "owner"),
        ({"owner", "private"}, None, "owner"),
        ({"private"}, None, "private"),
        ({"owner"}, "private", "private"),
    ],
)
def test_a_request_has_the_class_that_it_names_or_the_most_open_one_of_its_key(
    allowed: set[Privacy] | None, header: str | None, name: str
) -> None:
    scope = Scope(privacy=None if allowed is None else frozenset(allowed))
    request = parse(
        "/v1/chat/completions",
        {} if header is None else {"x-tierflow-privacy": header},
        json.dumps(BODY).encode(),
        id="id",
        received=0.0,
        privacy=RULE,
        identity=Identity(scope=scope),
    )
    assert (request.fault, request.privacy.name) == (None, name)


def outlined(body: bytes, **limits: int) -> InferenceRequest:
    outline = BodyOutline(
        OutlineLimits(**{"max_bytes": 1 << 20, "max_fields": 1000, "max_items": 1000, **limits})
    )
    outline.feed(body)
    outline.end()
    path, headers = "/v1/chat/completions", dict[str, str]()
    return parse(path, headers, body, id="id", received=0.0, privacy=RULE, outline=outline)


def test_a_large_body_is_read_by_its_outline() -> None:
    text = "How are you? " * 20_000
    fields = {"messages": [{"role": "user", "content": text}], "max_tokens": 7, "model": "auto"}
    body = json.dumps(fields).encode()
    request = outlined(body)
    assert (request.fault, request.model, request.max_tokens) == (None, "auto", 7)
    assert abs(request.prompt_chars - len(text)) < 100
    replaced = replace_model(body, "rill-edge", request.model_places)
    assert replaced is not None
    assert json.loads(replaced) == {**fields, "model": "rill-edge"}


def test_a_large_body_that_takes_too_long_to_parse_is_refused() -> None:
    body = b'{"model":"m","x":[' + b"[]," * 30_000 + b"1]}"
    fault = outlined(body).fault
    assert fault is not None
    assert (fault.code, "limits.max_fields" in fault.message) == ("body_too_complex", True)


def test_a_large_body_that_is_no_json_is_refused_at_its_place() -> None:
    body = json.dumps({"model": "m", "x": "word " * 20_000}).encode()[:-1] + b"!"
    fault = outlined(body).fault
    assert fault is not None
    assert fault.code == "invalid_json"
    assert fault.message.endswith(f"at byte {len(body) - 1}")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
@pytest.mark.parametrize(
    ("stream", "streams"),
    [(True, True), (1, True), ("true", True), ("True", True), ("1", True), (1.0, True)]
    + [(False, False), (0, False), ("false", False), (None, False), (2, False), ([], False)],
)
def test_a_stream_is_told_as_the_engine_tells_it(path: str, stream: object, streams: bool) -> None:
    body = json.dumps({**BODY, "prompt": "hi", "input": "hi", "stream": stream}).encode()
    request = parse(path, {}, body, id="id", received=0.0, privacy=RULE)
    assert request.stream is streams or request.fault is not None


def test_an_idempotency_key_of_nobodys_is_refused() -> None:
    body = BODY | {"model": "tierflow-collective"}
    error = complaint(body, {"idempotency-key": "order-7"})
    assert (error.param, error.code) == ("idempotency-key", "invalid_header")
    assert "Authorization" in error.message
    known = parsed(body, {"idempotency-key": "order-7", "authorization": "Bearer x"})
    assert known.fault is None and known.caller.idempotency_key == "order-7"


@pytest.mark.parametrize("key", ["order-7", "", "k" * 300])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/responses"])
def test_an_idempotency_key_is_not_looked_at_where_no_answer_is_kept(path: str, key: str) -> None:
    body = json.dumps({**BODY, "input": "hi"}).encode()
    headers = {"idempotency-key": key}
    request = parse(path, headers, body, id="id", received=0.0, privacy=RULE)
    assert request.fault is None and request.caller.idempotency_key is None


def test_what_is_a_callers_own_is_its_keys_or_its_headers() -> None:
    owners = {
        owner_of(api_key("team-a").identity, "Bearer old"),
        owner_of(api_key("team-a").identity, "Bearer new"),
        owner_of(api_key("team-b").identity, "Bearer old"),
        owner_of(api_key("team-a", created=NOW + 1).identity, "Bearer old"),
        owner_of(ANONYMOUS, "key team-a"),
        owner_of(ANONYMOUS, "Bearer old"),
        owner_of(ANONYMOUS, ""),
    }
    assert len(owners) == 6 and "" in owners


def nested(depth: int, in_lists: bool) -> str:
    opening, closing = ("[", "]") if in_lists else ('{"a":', "}")
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize("in_lists", [True, False])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    "field",
    ["guided_json", "response_format", "structured_outputs", "text", "metadata", "unheard_of"],
)
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses"])
def test_a_field_that_is_nested_too_deep_is_refused_by_its_name(
    path: str, field: str, large: bool, in_lists: bool
) -> None:
    for depth in (MAX_NESTING, MAX_NESTING + 1, 300, 900):
        text = f'{{"model":"m","prompt":"{"x" * 70_000 * large}","{field}":'
        body = (text + nested(depth, in_lists) + "}").encode()
        outline = None
        if large:
            outline = BodyOutline(OutlineLimits(1 << 20, 1 << 14, 1 << 17))
            outline.feed(body)
            outline.end()
        request = parse(
            path,
            {},
            body,
            id="id",
            received=0.0,
            privacy=RULE,
            outline=outline,
            bounds=request_bounds(RequestLimits()),
        )
        if depth == MAX_NESTING:
            assert request.fault is None
            orjson.dumps(orjson.loads(body))
            continue
        assert isinstance(request.fault, InvalidRequest)
        assert (request.fault.code, request.fault.param) == ("body_too_complex", field)
        assert request.model == "m"


def test_a_message_that_is_nested_too_deep_is_refused() -> None:
    text = '{"model":"m","messages":[{"role":"user","content":"hi","x":' + nested(900, True) + "}]}"
    error = complaint(text.encode())
    assert (error.code, error.param) == ("body_too_complex", "messages")


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("x-tierflow-max-teir", "did you mean x-tierflow-max-tier?"),
        ("x-tierflow-sesion", "did you mean x-tierflow-session?"),
        ("x-tierflow-qqqqqqqqqqqqqqqqqqqq", "there are x-tierflow-cascade-quality, "),
    ],
)
def test_a_header_of_ours_that_there_is_not_is_refused_with_the_nearest(
    header: str, meant: str
) -> None:
    error = complaint(BODY, read_headers([(header.encode(), b"edge")]))
    assert (error.param, error.code) == (header, "invalid_header")
    assert f"no such header; {meant}" in error.message


def test_headers_of_answers_and_of_the_device_may_come_along() -> None:
    for name in ("x-tierflow-tier", "x-tierflow-draft-window", "x-tierflow-verified-tokens"):
        assert demands(read_headers([(name.encode(), b"edge")])) == Demands()
