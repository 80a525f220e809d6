"""A caller whose connection is closed in the middle comes back, and has the whole answer once."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.integration.fleet import events, question
from tests.integration.gateway_replicas import ONE_OR_TWO, Replicas, replicas
from tests.servers import Server, eventually, start_simulator

pytestmark = pytest.mark.integration
KEY = {"authorization": "Bearer the-callers-key"}
TOKENS = 100
LONG: dict[str, Any] = question("rill-edge", max_tokens=TOKENS, stream=True)
COMPLETION: dict[str, Any] = {
    "model": "rill-edge",
    "prompt": "hi",
    "max_tokens": TOKENS,
    "ignore_eos": True,
    "stream": True,
}


@dataclass
class Here:
    engine: Server
    gateways: Replicas
    plain: dict[str, list[str]] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        return self.engine.metric("vllm:num_requests_running") == 0


@pytest.fixture(scope="module", params=ONE_OR_TWO)
def here(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("resumable")
    with ExitStack() as stack:
        flags = ("--decode-tokens-per-s", "800", "--max-model-len", "1024")
        engine = start_simulator("rill-edge", folder, *flags)
        stack.callback(engine.stop)
        edge = {"tier": "edge", "endpoints": [engine.url]}
        config = {"pools": {"edge": edge}, "resumable": {"max_s": 20}}
        # Nobody comes back to the streams that are left at the end.
        config["lifecycle"] = {"drain_s": 0}
        yield Here(engine, stack.enter_context(replicas(folder, *[config] * request.param)))


@pytest.fixture(autouse=True)
def idle(here: Here) -> None:
    eventually(lambda: here.idle, "the engine is idle")


@dataclass
class Part:
    """What a caller has when its connection is closed: the events that are whole."""

    headers: Mapping[str, str]
    data: bytes
    complete: bool

    @property
    def last_id(self) -> str:
        ids = [line[4:] for line in self.data.decode().split("\n") if line.startswith("id: ")]
        return ids[-1] if ids else ""


def read(answer: httpx.Response, at_most: int | None) -> Part:
    data = b""
    assert answer.status_code == 200, answer.read()
    for piece in answer.iter_raw():
        data += piece
        if at_most is not None and len(data) >= at_most:
            data = data[:at_most]
            # Closing the response closes its socket, as there is more to come.
            answer.close()
            whole = data[: data.rfind(b"\n\n") + 2] if b"\n\n" in data else b""
            return Part(answer.headers, whole, False)
    return Part(answer.headers, data, True)


def begin(
    gateway: Server, body: dict[str, Any], at_most: int | None, path: str = "chat/completions"
) -> Part:
    headers = {**KEY, "x-tierflow-resumable": "15"}
    url = f"{gateway.url}/v1/{path}"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=30) as answer:
        return read(answer, at_most)


def come_back(gateway: Server, stream: str, last_id: str, at_most: int | None = None) -> Part:
    headers = {**KEY, **({"last-event-id": last_id} if last_id else {})}
    url = f"{gateway.url}/v1/streams/{stream}"
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        return read(answer, at_most)


def texts(data: bytes) -> list[str]:
    """The pieces of a chat's or a completion's text, and [DONE]."""
    without = b"\n".join(line for line in data.split(b"\n") if not line.startswith(b"id: "))
    found = []
    for event in events(without):
        for choice in [] if event == "[DONE]" else event["choices"]:
            found.append(choice.get("text") or choice.get("delta", {}).get("content") or "")
        if event == "[DONE]":
            found.append(event)
    return found


def plain(here: Here, body: dict[str, Any], path: str = "chat/completions") -> list[str]:
    """What a caller gets without the header."""
    if path not in here.plain:
        url = f"{here.gateways.next().url}/v1/{path}"
        here.plain[path] = texts(httpx.post(url, json=body, headers=KEY, timeout=30).content)
    return here.plain[path]


@pytest.mark.parametrize("at_most", [1, 7000])
def test_a_chat_that_is_cut_again_and_again_is_whole(here: Here, at_most: int) -> None:
    part = begin(here.gateways.next(), LONG, at_most)
    stream, heard, last_id = part.headers["x-tierflow-stream"], part.data, part.last_id
    for limit in (at_most, 2 * at_most, 3, None):
        part = come_back(here.gateways.next(), stream, last_id, limit)
        heard, last_id = heard + part.data, part.last_id or last_id
    assert part.complete
    assert texts(heard) == plain(here, LONG)
    assert part.headers["content-type"].startswith("text/event-stream")
    assert part.headers["x-tierflow-tier"] == "edge"


def test_a_completion_is_resumed_like_a_chat(here: Here) -> None:
    first = begin(here.gateways.next(), COMPLETION, 2000, "completions")
    stream = first.headers["x-tierflow-stream"]
    rest = come_back(here.gateways.next(), stream, first.last_id)
    assert texts(first.data + rest.data) == plain(here, COMPLETION, "completions")


def test_the_same_request_again_with_the_last_id_goes_on_too(here: Here) -> None:
    """As libraries do that make an event stream of a POST."""
    first = begin(here.gateways.next(), LONG, 2000)
    url = here.gateways.next().url + "/v1/chat/completions"
    headers = {**KEY, "x-tierflow-resumable": "15", "last-event-id": first.last_id}
    rest = httpx.post(url, json=LONG, headers=headers, timeout=30)
    assert texts(first.data + rest.content) == plain(here, LONG)


def test_the_work_goes_on_while_the_caller_is_away_and_is_kept(here: Here) -> None:
    cancelled = here.gateways.metric("tierflow_requests_total", outcome="cancelled")
    first = begin(here.gateways.next(), LONG, 500)
    eventually(lambda: here.idle, "the engine is done")
    away = here.gateways.metric("tierflow_resumable_streams", state="away")
    assert away >= 1
    rest = come_back(here.gateways.next(), first.headers["x-tierflow-stream"], first.last_id)
    assert texts(first.data + rest.data) == plain(here, LONG)
    assert here.gateways.metric("tierflow_requests_total", outcome="cancelled") == cancelled


def test_a_caller_that_wants_no_more_frees_the_engine(here: Here) -> None:
    endless = {**LONG, "max_tokens": 1000}
    first = begin(here.gateways.next(), endless, 500)
    url = f"{here.gateways.next().url}/v1/streams/{first.headers['x-tierflow-stream']}"
    before = here.engine.metric("vllm:generation_tokens_total")
    assert httpx.delete(url, headers=KEY).status_code == 204
    eventually(lambda: here.idle, "the engine gave the work up")
    assert here.engine.metric("vllm:generation_tokens_total") - before < 900
    eventually(lambda: httpx.get(url, headers=KEY).status_code == 404, "the stream is forgotten")


def test_without_the_callers_key_there_is_no_stream(here: Here) -> None:
    first = begin(here.gateways.next(), LONG, 500)
    stream = first.headers["x-tierflow-stream"]
    for headers in ({}, {"authorization": "Bearer another"}):
        for name in (stream, stream[:-1] + "x", "7"):
            answer = httpx.get(f"{here.gateways.next().url}/v1/streams/{name}", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_stream")
    assert come_back(here.gateways.next(), stream, first.last_id).complete


@pytest.mark.parametrize("value", ["0", "-1", "soon", "1.5", "3601", ""])
def test_a_bad_header_is_named(here: Here, value: str) -> None:
    url = here.gateways.next().url + "/v1/chat/completions"
    answer = httpx.post(url, json=LONG, headers={"x-tierflow-resumable": value})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_header")
    assert error["param"] == "x-tierflow-resumable"


def test_an_id_of_another_stream_is_named(here: Here) -> None:
    first = begin(here.gateways.next(), LONG, 500)
    stream = first.headers["x-tierflow-stream"]
    other = ("1" if stream[0] == "0" else "0") + first.last_id[1:]
    url = f"{here.gateways.next().url}/v1/streams/{stream}"
    answer = httpx.get(url, headers={**KEY, "last-event-id": other})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "last-event-id")


def test_what_is_no_stream_is_answered_as_ever(here: Here) -> None:
    url = here.gateways.next().url + "/v1/chat/completions"
    headers = {**KEY, "x-tierflow-resumable": "15"}
    whole = httpx.post(url, json={**LONG, "stream": False}, headers=headers)
    refused = httpx.post(url, json={**LONG, "model": "nobody"}, headers=headers)
    assert (whole.status_code, refused.status_code) == (200, 404)
    for answer in (whole, refused):
        assert "x-tierflow-stream" not in answer.headers


def test_the_answer_says_how_long_the_stream_really_lives(here: Here) -> None:
    url = here.gateways.next().url + "/v1/chat/completions"
    headers = {**KEY, "x-tierflow-resumable": "3600"}
    answer = httpx.post(url, json={**LONG, "max_tokens": 1}, headers=headers)
    assert answer.headers["x-tierflow-resumable"] == "20"
    without = httpx.post(url, json={**LONG, "max_tokens": 1}, headers=KEY)
    assert "x-tierflow-stream" not in without.headers
    assert b"id: " not in without.content


def test_the_official_client_reads_it(here: Here) -> None:
    with (
        OpenAI(
            base_url=here.gateways.v1,
            api_key="the-callers-key",
            http_client=here.gateways.openai_client(),
            default_headers={"x-tierflow-resumable": "15"},
        ) as client,
        client.completions.create(
            model="rill-edge", prompt="hi", max_tokens=20, stream=True
        ) as stream,
    ):
        assert any(chunk.choices[0].text for chunk in stream)


def test_a_connection_that_is_reset_is_one_that_broke(here: Here) -> None:
    gateway = here.gateways.next()
    content = json.dumps(LONG).encode()
    host, port = gateway.id.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nx-tierflow-resumable: 15\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        connection.sendall(head.encode() + content)
        received = b""
        while b"\n\n" not in received:
            received += connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream = received.partition(b"x-tierflow-stream: ")[2].partition(b"\r\n")[0].decode()
    answer = httpx.get(f"{here.gateways.next().url}/v1/streams/{stream}", timeout=30)
    assert texts(answer.content) == plain(here, LONG)
