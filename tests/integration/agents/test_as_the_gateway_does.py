"""An application sees no difference: the device answers as the gateway does, passes on what it has
no part in, and answers alone where the gateway is lost."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.agent import ASKED, MODEL, QUESTION, World, start_agent, world
from tests.integration.agents import odd_requests
from tests.integration.agents.odd_requests import OddRequest
from tests.integration.device import TOKEN
from tests.servers import Server, eventually

pytestmark = pytest.mark.integration
HARMLESS: list[dict[str, Any]] = [
    {"metadata": {"a": "b"}},
    {"response_format": {"type": "text"}},
    {"parallel_tool_calls": True},
    {"stream": None, "n": 1, "service_tier": "auto", "store": True},
]
PLAIN = {"prompt": "What is 12", "ignore_eos": True}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("alike")) as made:
        yield made


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An agent whose gateway nobody has ever reached."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        agent = start_agent(nowhere, tmp_path_factory.mktemp("offline"))
        yield agent
        agent.stop()


def test_routes_that_a_device_does_not_have_are_passed_on(here: World) -> None:
    message = {"model": "rill-edge", "max_tokens": 4, "messages": QUESTION}
    url = here.agent.url
    assert httpx.post(url + "/v1/messages", json=message).json()["type"] == "message"
    stream = httpx.post(url + "/v1/messages", json={**message, "stream": True}).text
    assert stream.startswith("event: message_start") and '"message_stop"' in stream
    ranked = {"model": "rill-edge", "query": "a b", "documents": ["c", "a b"]}
    results = httpx.post(url + "/rerank", json=ranked).json()["results"]
    assert [each["index"] for each in results] == [1, 0]
    nobody = httpx.post(url + "/classify", json={"model": "rill-edge", "input": "x"})
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (404, "route_not_served")


def test_the_page_at_the_root_leads_to_what_a_browser_can_open(offline: Server) -> None:
    page = httpx.get(offline.url + "/")
    assert page.headers["content-type"].startswith("text/html") and "<script" not in page.text
    links = re.findall(r'href="([^"]+)"', page.text)
    assert "v1/models" in links
    for link in links:
        assert httpx.get(f"{offline.url}/{link}").status_code in (200, 503)


def ask(agent: Server, body: dict[str, Any], path: str = "chat/completions") -> httpx.Response:
    return httpx.post(f"{agent.url}/v1/{path}", json=body, timeout=60)


@pytest.mark.parametrize("model", ["tierflow-on-device", "tierflow-device-cloud"])
def test_a_plain_completion_without_a_bound_ends_after_16_tokens(here: World, model: str) -> None:
    answer = here.ask({**PLAIN, "model": model}, "completions").json()
    assert answer["usage"]["completion_tokens"] == 16
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("fields", HARMLESS, ids=str)
@pytest.mark.parametrize("model", ["tierflow-on-device", "tierflow-auto"])
def test_a_field_that_changes_nothing_does_not_change_who_answers(
    here: World, offline: Server, model: str, fields: dict[str, Any]
) -> None:
    body = {**ASKED, "model": model, "max_tokens": 3, **fields}
    way = "on-device" if model == "tierflow-on-device" else "device-cloud"
    assert here.ask(body).json()["tierflow"]["way"] == way
    alone = ask(offline, body)
    assert alone.status_code == 200 and alone.json()["tierflow"]["way"] == "on-device"


@pytest.mark.parametrize(
    "model",
    ["rill-cloud", "tierflow-cloud", "tierflow-edge", "tierflow-cascade", "tierflow-collective",
     "tierflow-device-cloud"],
)  # fmt: skip
def test_without_a_gateway_every_server_s_model_is_answered_alone_and_marked(
    offline: Server, model: str
) -> None:
    answer = ask(offline, {**ASKED, "model": model, "max_tokens": 3})
    assert answer.status_code == 200, answer.text
    assert answer.json()["tierflow"]["way"] == "on-device"
    assert answer.json()["tierflow"]["degraded"]
    assert answer.json()["model"] == MODEL.name


def test_what_only_servers_do_is_asked_for_again_later(offline: Server) -> None:
    for body, path in (
        ({**ASKED, "model": "tierflow-auto", "n": 2}, "chat/completions"),
        ({"model": "rill-cloud", "input": "hi"}, "responses"),
    ):
        answer = ask(offline, body, path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"]["code"] == "gateway_unreachable"


@pytest.mark.parametrize(
    "model", ["tierflow-edge", "tierflow-edge-cloud", "tierflow-cascade", "tierflow-collective"]
)
def test_the_gateway_s_virtual_models_are_passed_on(here: World, model: str) -> None:
    answer = here.ask({"model": model, "messages": QUESTION, "max_tokens": 3})
    assert answer.status_code == 200, answer.text
    assert "way" not in (answer.json().get("tierflow") or {}), "the answer is the gateway's"
    assert model in {
        card["id"] for card in here.http.get(here.agent.url + "/v1/models").json()["data"]
    }


@pytest.mark.parametrize(
    ("body", "choices"),
    [({"prompt": ["What", "is"]}, 2), ({"prompt": "What", "stop": "x" * 65}, 1)],
    ids=str,
)
def test_what_a_frame_does_not_hold_is_passed_on(
    here: World, body: dict[str, Any], choices: int
) -> None:
    answer = here.ask({**body, "model": "rill-edge", "max_tokens": 3}, "completions")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["choices"]) == choices


def test_a_long_stop_text_is_no_hindrance_alone(offline: Server) -> None:
    body = {**ASKED, "model": "tierflow-on-device", "max_tokens": 3, "stop": "x" * 65}
    assert ask(offline, body).status_code == 200


@pytest.mark.parametrize("model", ["tierflow-on-device", "tierflow-device-cloud"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_stop_text_that_ended_an_answer_is_told(here: World, model: str, stream: bool) -> None:
    text = here.ask({**ASKED, "model": model}).json()["choices"][0]["message"]["content"]
    stop = text[5:8]
    answer = here.ask({**ASKED, "model": model, "stop": ["§§", stop], "stream": stream})
    assert f'"stop_reason":"{stop}"' in answer.text.replace('": "', '":"')
    assert '"finish_reason":"stop"' in answer.text.replace('": "', '":"')


def test_an_answer_names_the_model_that_wrote_it(here: World) -> None:
    names = {
        model: here.ask({**ASKED, "model": model, "max_tokens": 2}).json()["model"]
        for model in ("tierflow-auto", "tierflow-on-device", "rill-cloud")
    }
    assert names["tierflow-on-device"] == MODEL.name
    assert names["tierflow-auto"] == names["rill-cloud"] == "rill-cloud"


def test_a_model_has_a_card_of_its_own(here: World) -> None:
    card = here.http.get(here.agent.url + "/v1/models/rill-cloud").json()
    assert (card["id"], card["object"]) == ("rill-cloud", "model") and card["created"] > 10**9
    unknown = here.http.get(here.agent.url + "/v1/models/nobody")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


def test_an_unknown_route_or_method_is_an_error_in_json(here: World) -> None:
    url = here.agent.url
    unknown, wrong = here.http.get(url + "/v1/nothing"), here.http.get(url + "/v1/completions")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "OPTIONS, POST"


def told(url: str, request: OddRequest) -> dict[str, Any]:
    """What a caller is told, but for what it asked for."""
    answer = httpx.request(
        request.method,
        url + request.path,
        content=request.content,
        headers={**request.headers, "authorization": f"Bearer {TOKEN}"},
        timeout=60,
    )
    names = ("allow", "retry-after", "location")
    found: dict[str, Any] = {name: answer.headers.get(name) for name in names}
    found["status"] = answer.status_code
    if answer.status_code >= 400 and request.method != "HEAD":
        found["error"] = answer.json()
    return found


@pytest.mark.parametrize("kind", ["METHODS", "BODIES", "HEADERS", "ROUTES", "FIELDS"])
def test_odd_requests_are_answered_as_at_the_gateway(here: World, kind: str) -> None:
    requests: list[OddRequest] = getattr(odd_requests, kind)
    pairs = [
        (request[:2], request.content[:40], request.headers, at_gateway, at_agent)
        for request in requests
        if (at_gateway := told(here.gateway.url, request))
        != (at_agent := told(here.agent.url, request))
    ]
    assert not pairs


def test_a_response_made_through_the_device_is_read_there(here: World) -> None:
    made = here.ask({"model": "rill-edge", "input": "hi"}, "responses").json()
    url = f"{here.agent.url}/v1/responses/{made['id']}"
    assert httpx.get(url).json()["id"] == made["id"]


def test_a_recording_passes_through_the_device(here: World) -> None:
    url = here.agent.url + "/v1/audio/transcriptions"
    form = {"data": {"model": "rill-edge"}, "files": {"file": ("a.wav", b"RIFF" * 100)}}
    answer, at_gateway = (
        httpx.post(to, headers={"authorization": f"Bearer {TOKEN}"}, **form)  # type: ignore[arg-type]
        for to in (url, here.gateway.url + "/v1/audio/transcriptions")
    )
    assert (answer.status_code, answer.json()) == (at_gateway.status_code, at_gateway.json())


@pytest.mark.parametrize("model", ["tierflow-device-cloud", "tierflow-edge", "tierflow-on-device"])
def test_a_request_has_one_id_from_the_application_to_the_engine(here: World, model: str) -> None:
    id = f"from-the-application-{model}"
    answer = here.ask({**ASKED, "model": model, "max_tokens": 2}, x_request_id=id)
    assert answer.headers["x-request-id"] == id
    if model != "tierflow-on-device":
        eventually(lambda: id in here.gateway.output(), "the gateway's log tells of it")
    if model != "tierflow-edge":
        eventually(lambda: id in here.agent.output(), "the agent's log tells of it")
