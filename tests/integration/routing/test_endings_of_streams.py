"""How a stream ends is what its caller sees, and what the gateway says of it: an engine plays a
script of bytes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from openai import APIError, OpenAI

from tests.integration.fleet import events
from tests.servers import Server, eventually, metric_in, start_gateway
from tests.stand_in import Answer, Script, StandIn, stand_in

pytestmark = pytest.mark.integration

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
A = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
B = b'data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":0}}\n\n'
ABORT = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}\n\n'
ERROR = b'data: {"error":{"message":"out of memory","type":"x","code":500}}\n\n'
DONE = b"data: [DONE]\n\n"
COMMENT = b": still here\n\n"
CREATED = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,'
    b'"response":{"id":"resp_1","object":"response","created_at":7,"model":"m",'
    b'"status":"in_progress","output":[]}}\n\n'
)
DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
    b'"sequence_number":1,"item_id":"msg","output_index":0,"content_index":0,"delta":"a"}\n\n'
)
COMPLETED = (
    b'event: response.completed\ndata: {"type":"response.completed","sequence_number":2,'
    b'"response":{"id":"resp_1","status":"completed","usage":{"input_tokens":5,"output_tokens":1}}}'
    b"\n\n"
)


@pytest.fixture(scope="module")
def engine() -> Iterator[StandIn]:
    models = Answer({"object": "list", "data": [{"id": "m"}]})
    with stand_in({"/v1/models": models}) as engine:
        yield engine


@pytest.fixture(scope="module")
def gateway(engine: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = {
        "family": ["m", "m-large"],
        "pools": {"edge": {"tier": "edge", "endpoints": [engine.url], "probe": "models"}},
        "scrape": {"interval_s": 0.2},
        "timeouts": {"first_token_s": 2.0, "idle_s": 0.8},
        "limits": {"max_body_bytes": 65536},
    }
    server = start_gateway(config, tmp_path_factory.mktemp("endings"))
    try:
        eventually(lambda: server.answers("/ready"), "the engine has been seen")
        yield server
    finally:
        server.stop()


class Conversation:
    """Questions to the gateway, whose engine plays a script; and what its log says of them."""

    def __init__(self, engine: StandIn, gateway: Server, http: httpx.Client) -> None:
        self._engine, self._gateway, self._http = engine, gateway, http
        self._name, self._number = f"ending-{secrets.token_hex(4)}", 0

    def ask(self, script: Script | Answer, path: str = CHAT, **fields: Any) -> httpx.Response:
        if isinstance(script, Script):
            script.gate.set()
        self._engine.answers[path] = script
        return self.post({"model": "m", "stream": True, **fields}, path)

    def stream(
        self, script: Script, path: str = CHAT, leave_at: bytes | None = None, **fields: Any
    ) -> bytes:
        """The engine goes on only when its first piece has reached the caller, who leaves when it
        has read `leave_at`."""
        self._engine.answers[path] = script
        self._number += 1
        body = _whole({"model": "m", "stream": True, **fields}, path)
        headers = {"x-request-id": self.id}
        with self._http.stream(
            "POST", self._gateway.url + path, json=body, headers=headers
        ) as answer:
            pieces = answer.iter_raw()
            content = next(pieces)
            script.gate.set()
            while leave_at is None or leave_at not in content:
                if not (piece := next(pieces, b"")):
                    break
                content += piece
            return content

    def post(
        self, body: object, path: str = CHAT, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        self._number += 1
        content = body if isinstance(body, bytes) else json.dumps(_whole(body, path)).encode()
        names = {"x-request-id": self.id, **(headers or {})}
        return self._http.post(self._gateway.url + path, content=content, headers=names)

    @property
    def id(self) -> str:
        return f"{self._name}-{self._number}"

    def line(self) -> dict[str, Any]:
        """What the gateway's log says of the last one."""
        lines = partial(self._gateway.logged, request_id=self.id)
        (line,) = eventually(lines, f"{self.id} is logged")
        return line


def _whole(body: Any, path: str) -> Any:
    given = (
        {"input": "hi"} if path == RESPONSES else {"messages": [{"role": "user", "content": ""}]}
    )
    return given | body if isinstance(body, dict) else body


@pytest.fixture
def talk(engine: StandIn, gateway: Server) -> Iterator[Conversation]:
    with httpx.Client(timeout=20, trust_env=False) as http:
        yield Conversation(engine, gateway, http)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Script([A, ERROR, DONE]), "error_event"),
        (Script([A, ABORT, DONE]), "engine_aborted"),
        (Script([A, b"data: {half\n\n", DONE]), "unreadable_answer"),
        (Script([A, B[:30]]), "engine_disconnected"),
        (Script([A], "cut"), "engine_disconnected"),
        (Script([A, DONE]), "engine_disconnected"),
        (Script([A, B[:30]], "open"), "idle_timeout"),
        (Script([A], "refrain"), "idle_timeout"),
    ],
)
def test_a_stream_that_breaks_ends_with_one_error_and_is_counted_as_that(
    talk: Conversation, gateway: Server, script: Script, code: str
) -> None:
    content = talk.stream(script)
    *good, last = events(content)
    assert good == [json.loads(A[6:])]
    assert last["error"]["code"] == code
    assert b"out of memory" not in content
    line = talk.line()
    assert (line["outcome"], line["status"], line["completion_tokens"]) == (code, 200, 1)
    assert gateway.metric("tierflow_requests_total", outcome=code, model="m") >= 1


@pytest.mark.parametrize(
    "script",
    [
        Script([A, B, b"data: [DONE]"]),
        Script([A, B, DONE, b": " + b"x" * 900 + b"\n\n"]),
        Script([A, B, DONE, ERROR], "cut"),
        Script([A, B, DONE], "open"),
        Script([A, B, b"data: [DONE]"], "open"),
        Script([A, B, DONE], "refrain"),
        Script([A[:9], A[9:] + B + DONE]),
        Script([A, B, DONE], content_type="Text/Event-Stream; charset=UTF-8"),
    ],
)
def test_an_answer_is_over_at_done(talk: Conversation, script: Script) -> None:
    answer = talk.ask(script)
    assert answer.content == A + B + DONE
    line = talk.line()
    assert (line["outcome"], line["completion_tokens"]) == ("ok", 2)


def test_a_caller_that_leaves_at_done_has_its_answer(talk: Conversation) -> None:
    talk.stream(Script([A, B, DONE], "open"), leave_at=b"[DONE]")
    assert talk.line()["outcome"] == "ok"


def test_a_caller_that_leaves_before_is_counted_as_that(talk: Conversation) -> None:
    talk.stream(Script([A, B], "open"), leave_at=B)
    line = talk.line()
    assert (line["outcome"], line["completion_tokens"]) == ("cancelled", 2)


def test_comments_pass_and_the_stream_goes_on(talk: Conversation) -> None:
    answer = talk.ask(Script([COMMENT, A, COMMENT, B, COMMENT, DONE]))
    assert answer.content == COMMENT + A + COMMENT + B + COMMENT + DONE
    assert talk.line()["completion_tokens"] == 2


def test_comments_alone_are_no_first_token(talk: Conversation) -> None:
    answer = talk.ask(Script([], "refrain"))
    assert answer.status_code == 504
    line = talk.line()
    assert (line["outcome"], line["status"]) == ("first_token_timeout", 504)


@pytest.mark.parametrize(
    "script",
    [
        Script([ERROR, DONE]),
        Script([]),
        Script([DONE]),
        Script([ROLE, DONE]),
        Script([ROLE], "cut"),
        Script([b"data: {}\n\n", USAGE, DONE]),
    ],
)
def test_a_stream_that_breaks_before_anything_is_sent_has_a_status_of_its_own(
    talk: Conversation, script: Script
) -> None:
    answer = talk.ask(script)
    assert answer.status_code == 502
    assert talk.line()["status"] == 502


@pytest.mark.parametrize("tail", [ERROR, ABORT, b"data: {half\n\n", DONE])
def test_good_events_that_come_with_an_error_are_delivered_before_it(
    talk: Conversation, tail: bytes
) -> None:
    answer = talk.ask(Script([ROLE + A + tail]))
    *good, last = events(answer.content)
    assert good == [json.loads(event[6:]) for event in (ROLE, A)]
    assert (answer.status_code, "error" in last) == (200, True)
    assert talk.line()["outcome"] == last["error"]["code"]


@pytest.mark.parametrize(
    "script",
    [Script([ROLE, STOP, DONE]), Script([STOP + DONE]), Script([ROLE + STOP, USAGE, DONE])],
)
def test_an_answer_without_a_token_is_good_where_it_has_a_finish_reason(
    talk: Conversation, script: Script
) -> None:
    answer = talk.ask(script)
    assert (answer.status_code, answer.content) == (200, b"".join(script.pieces))
    assert talk.line()["outcome"] == "ok"


def test_each_of_two_choices_has_its_own_finish_reason(talk: Conversation) -> None:
    second = [piece.replace(b'"index":0', b'"index":1') for piece in (A, B)]
    whole = [A, second[0], B, second[1], DONE]
    assert talk.ask(Script(whole), n=2).content == b"".join(whole)
    *good, last = events(talk.stream(Script([A, second[0] + B, DONE]), n=2))
    assert (len(good), last["error"]["code"]) == (3, "engine_disconnected")


def test_a_response_ends_at_its_last_event(talk: Conversation) -> None:
    answer = talk.ask(Script([CREATED, DELTA, COMPLETED, DONE], "open"), RESPONSES)
    assert answer.content == CREATED + DELTA + COMPLETED
    line = talk.line()
    assert (line["outcome"], line["prompt_tokens"], line["completion_tokens"]) == ("ok", 5, 1)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Script([CREATED + DELTA]), "engine_disconnected"),
        (Script([CREATED + DELTA], "cut"), "engine_disconnected"),
        (Script([CREATED + DELTA, b'event: error\ndata: {"type":"error"}\n\n']), "error_event"),
    ],
)
def test_a_response_that_breaks_fails_by_its_own_protocol(
    talk: Conversation, script: Script, code: str
) -> None:
    content = talk.stream(script, RESPONSES)
    assert content.startswith(CREATED + DELTA + b"event: response.failed\ndata: {")
    failed = json.loads(content.rpartition(b"data: ")[2])
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 2)
    assert (failed["response"]["id"], failed["response"]["status"]) == ("resp_1", "failed")
    assert failed["response"]["error"]["code"] == code
    assert talk.line()["outcome"] == code


def test_the_official_client_sees_a_response_fail(engine: StandIn, gateway: Server) -> None:
    script = engine.answers[RESPONSES] = Script([CREATED, DELTA], "cut")
    script.gate.set()
    with OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as client:
        last = list(client.responses.create(model="m", input="hi", stream=True))[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert str(last.response.error.code) == "engine_disconnected"


def test_the_official_client_raises_on_an_error_event(engine: StandIn, gateway: Server) -> None:
    script = engine.answers[CHAT] = Script([A, B], "cut")
    script.gate.set()
    with OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        with pytest.raises(APIError) as caught:
            list(stream)
    assert caught.value.code == "engine_disconnected"


def test_usage_counts_though_much_follows_it(talk: Conversation) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    body = {"choices": [{}], "usage": usage, "prompt_logprobs": [{"1": -0.5}] * 2000}
    assert talk.ask(Answer(body), stream=False).json() == body
    line = talk.line()
    assert (line["prompt_tokens"], line["completion_tokens"]) == (5, 3)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "asked"),
    [
        (b"{", {}, 400, "invalid_json", "unknown"),
        (b"x" * 70_000, {}, 413, "body_too_large", "unknown"),
        ({"model": 7}, {}, 400, "invalid_model", "unknown"),
        ({"model": "m", "n": 0}, {}, 400, "invalid_value", "m"),
        ({"model": "m"}, {"x-tierflow-max-tier": "moon"}, 400, "invalid_header", "m"),
        ({"model": "tierflow-cascade", "n": 2}, {}, 400, "invalid_parameter", "tierflow-cascade"),
        ({"model": "nobodys"}, {}, 404, "model_not_found", "unknown"),
        ({"model": "m-large"}, {}, 404, "model_not_found", "m-large"),
    ],
)
def test_a_refused_request_is_counted_and_logged_as_it_was_refused(
    talk: Conversation,
    gateway: Server,
    body: object,
    headers: dict[str, str],
    status: int,
    code: str,
    asked: str,
) -> None:
    before = refusals(gateway, code)
    answer = talk.post(body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    line = talk.line()
    assert (line["status"], line["outcome"], line["asked"]) == (status, code, asked)
    assert refusals(gateway, code) == before + 1


def refusals(gateway: Server, code: str) -> float:
    page = httpx.get(gateway.url + "/metrics").text
    return metric_in(page, "tierflow_requests_total", outcome=code)
