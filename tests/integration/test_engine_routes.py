"""The routes of engines beyond OpenAI's chat: each reaches an engine that has it, under the same
keys and with the same failover as any other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import orjson
import pytest

from tests.deployment import gateway_config
from tests.integration.gateway_replicas import Replicas
from tests.servers import Server, eventually, start_gateway, start_simulator
from tests.stand_in import Answer, Request, StandIn, Table, stand_in

pytestmark = pytest.mark.integration
KEY = "tf-of-a-caller-0123456789abcdef"
OF_EDGE = "tf-for-the-edge-0123456789abcdef"
QUESTION = [{"role": "user", "content": "What is 12 plus 30?"}]
MESSAGE = {"model": "rill-edge", "max_tokens": 24, "messages": QUESTION}
SPEECH = {"text": "the words that were said"}


def transcribe(request: Request) -> Answer:
    return Answer(SPEECH)


SPEECH_ENGINE: Table = {
    "/v1/models": Answer({"object": "list", "data": [{"id": "ear", "object": "model"}]}),
    "/health": Answer({}),
    "/v1/audio/transcriptions": transcribe,
    "/v1/audio/translations": transcribe,
}


@dataclass
class Rig:
    edge: list[Server]
    cloud: Server
    ear: StandIn
    replicas: Replicas
    http: httpx.Client

    def heard(self) -> Request:
        """The last form: looks at the engine come between."""
        return [each for each in self.ear.requests if each.path.startswith("/v1/audio/")][-1]

    def at(self, gateway: int, key: str = KEY) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"}
        return httpx.Client(
            base_url=self.replicas.each[gateway].url, headers=headers, timeout=30, trust_env=False
        )


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("routes")
    with ExitStack() as stack:
        flags = ("--unpaced", "--allow-fault-control")
        edge = [start_simulator("rill-edge", folder, *flags) for _ in range(2)]
        cloud = start_simulator("rill-cloud", folder, *flags)
        ear = stack.enter_context(stand_in(SPEECH_ENGINE))
        config = gateway_config(edge, [cloud])
        config["pools"]["speech"] = {"tier": "cloud", "endpoints": [ear.url], "probe": "models"}
        config["keys"] = {
            "required": True,
            "static": {"caller": {"key": KEY}, "edge": {"key": OF_EDGE, "tiers": ["edge"]}},
        }
        gateways = [start_gateway(config, folder) for _ in range(2)]
        for server in (*gateways, *edge, cloud):
            stack.callback(server.stop)
        for gateway in gateways:
            eventually(partial(_all_ready, gateway.url), "all pools are ready")
        headers = {"authorization": f"Bearer {KEY}"}
        http = stack.enter_context(
            httpx.Client(base_url=gateways[0].url, headers=headers, timeout=30, trust_env=False)
        )
        yield Rig(edge, cloud, ear, Replicas(gateways), http)


def _all_ready(url: str) -> bool:
    pools = httpx.get(url + "/ready").json()["pools"]
    return all(pool["ready"] and len(pool["endpoints"]) for pool in pools.values())


def events(stream: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of Anthropic's API: their names and data."""
    found = []
    for block in stream.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return found


def test_a_message_of_anthropics_api_is_the_engines_own(rig: Rig) -> None:
    there = httpx.post(rig.edge[0].url + "/v1/messages", json=MESSAGE).json()
    here = rig.http.post("/v1/messages", json=MESSAGE)
    assert here.status_code == 200 and here.headers["x-tierflow-tier"] == "edge"
    assert here.json() | {"id": ""} == there | {"id": ""}
    assert here.json()["type"] == "message"


def test_its_stream_comes_as_the_engine_writes_it(rig: Rig) -> None:
    body = MESSAGE | {"stream": True}
    there = httpx.post(rig.edge[0].url + "/v1/messages", json=body).text
    here = rig.http.post("/v1/messages", json=body)
    assert here.headers["content-type"].startswith("text/event-stream")
    seen = events(here.text)
    assert [name for name, _ in seen] == [name for name, _ in events(there)]
    assert seen[1:] == events(there)[1:], "all but the id, which is new each time"
    assert seen[-1][0] == "message_stop"


def test_a_key_may_come_as_anthropics_clients_send_it(rig: Rig) -> None:
    url = rig.replicas.each[0].url
    for path, body in (("/v1/messages", MESSAGE), ("/v1/messages/count_tokens", MESSAGE)):
        asked = httpx.post(url + path, json=body, headers={"x-api-key": KEY})
        assert asked.status_code == 200
    assert httpx.get(url + "/v1/models", headers={"x-api-key": KEY}).status_code == 200


def test_errors_have_the_form_that_anthropics_clients_read(rig: Rig) -> None:
    url = rig.replicas.each[0].url
    refusals = [
        (httpx.post(url + "/v1/messages", json=MESSAGE), 401, "authentication_error"),
        (rig.http.post("/v1/messages", json=MESSAGE | {"model": "x"}), 404, "not_found_error"),
        (rig.http.post("/v1/messages", content=b"{"), 400, "invalid_request_error"),
        (rig.http.post("/v1/messages", json={"model": "rill-edge"}), 400, None),
    ]
    for answer, status, kind in refusals:
        body = answer.json()
        assert (answer.status_code, body["type"]) == (status, "error")
        assert kind in (body["error"]["type"], None)
        assert body["error"]["message"] and body["error"]["code"]


def test_a_message_that_breaks_off_ends_with_an_error_event(rig: Rig) -> None:
    for engine in rig.edge:
        fault = {"close_after_tokens": 3}
        assert httpx.post(engine.url + "/simulator/faults", json=fault).status_code == 200
    try:
        answer = rig.http.post("/v1/messages", json=MESSAGE | {"stream": True})
    finally:
        for engine in rig.edge:
            httpx.delete(engine.url + "/simulator/faults")
    name, data = events(answer.text)[-1]
    assert (name, data["type"], data["error"]["type"]) == ("error", "error", "api_error")
    assert data["error"]["code"] == "engine_disconnected"


def test_an_engine_that_fails_at_once_is_left_for_another(rig: Rig) -> None:
    fault = httpx.post(rig.edge[0].url + "/simulator/faults", json={"status": 500})
    assert fault.status_code == 200
    try:
        answers = [rig.http.post("/v1/messages", json=MESSAGE) for _ in range(4)]
    finally:
        httpx.delete(rig.edge[0].url + "/simulator/faults")
    assert [answer.status_code for answer in answers] == [200] * 4


def test_a_prompt_of_a_message_is_counted(rig: Rig) -> None:
    answer = rig.http.post("/v1/messages/count_tokens", json=MESSAGE)
    there = httpx.post(rig.edge[0].url + "/v1/messages/count_tokens", json=MESSAGE)
    assert answer.json() == there.json() and answer.json()["input_tokens"] > 5


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_documents_are_put_in_order(rig: Rig, path: str) -> None:
    documents = ["a river in the north", "the capital of France"]
    body = {"model": "rill-cloud", "query": "the capital of France", "documents": documents}
    results = rig.http.post(path, json=body).json()["results"]
    assert [each["index"] for each in results] == [1, 0]


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
def test_texts_are_scored(rig: Rig, path: str) -> None:
    body = {"model": "rill-cloud", "text_1": "Paris", "text_2": ["Paris", "Bonn"]}
    scores = [each["score"] for each in rig.http.post(path, json=body).json()["data"]]
    assert scores[0] == pytest.approx(1.0) and scores[1] < scores[0]


def test_vectors_of_a_pooling_model_come_through(rig: Rig) -> None:
    answer = rig.http.post("/pooling", json={"model": "rill-edge", "input": ["a", "b"]})
    assert [each["object"] for each in answer.json()["data"]] == ["pooling"] * 2


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/translations"])
@pytest.mark.parametrize("size", [10, 300_000])
def test_a_sound_file_goes_to_the_model_that_its_form_names(rig: Rig, path: str, size: int) -> None:
    sound = bytes(range(256)) * (size // 256 + 1)
    form = {"model": "ear", "language": "en"}
    answer = rig.http.post(path, data=form, files={"file": ("said.wav", sound, "audio/wav")})
    assert (answer.status_code, answer.json()) == (200, SPEECH)
    sent = rig.heard()
    assert sound in sent.body and b'name="model"\r\n\r\near\r\n' in sent.body
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")


def test_a_virtual_model_in_a_form_reaches_the_engine_as_its_own(rig: Rig) -> None:
    """Of the pools that it may mean, one only has the route."""
    form = {"model": "tierflow-cloud"}
    with rig.at(0) as http:
        answer = http.post(
            "/v1/audio/transcriptions", data=form, files={"file": ("said.wav", b"RIFF")}
        )
    assert (answer.status_code, answer.json()) == (200, SPEECH)
    assert b"\r\n\r\near\r\n" in rig.heard().body


def test_a_form_without_a_model_is_refused_by_its_field(rig: Rig) -> None:
    answer = rig.http.post("/v1/audio/transcriptions", files={"file": ("said.wav", b"RIFF")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    answer = rig.http.post("/v1/audio/transcriptions", json={"model": "ear"})
    assert answer.json()["error"]["code"] == "invalid_form"


def test_each_chat_of_a_batch_gets_a_choice(rig: Rig) -> None:
    body = {"model": "rill-edge", "messages": [QUESTION, QUESTION], "max_completion_tokens": 4}
    answer = rig.http.post("/v1/chat/completions/batch", json=body).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]


def test_a_slash_at_the_end_of_a_route_changes_nothing(rig: Rig) -> None:
    answer = rig.http.post("/v1/messages/", json=MESSAGE)
    assert (answer.status_code, answer.json()["type"]) == (200, "message")


@pytest.mark.parametrize(("path", "model"), [("/classify", "rill-edge"), ("/v1/embeddings", "ear")])
def test_a_route_that_no_engine_has_says_so_as_openai_would(
    rig: Rig, path: str, model: str
) -> None:
    body = {"model": model, "input": "x", "messages": [QUESTION]}
    for _ in range(3):
        answer = rig.http.post(path, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "route_not_served")
        assert path in error["message"] and error["type"] == "invalid_request_error"
    pools = httpx.get(rig.replicas.each[0].url + "/ready").json()["pools"]
    conditions = [ok for pool in pools.values() for ok in pool["endpoints"].values()]
    assert set(conditions) == {"ok"}, "nothing is wrong with the engines"


def test_the_version_is_an_engines(rig: Rig) -> None:
    answer = rig.http.get("/version")
    assert answer.json()["version"] and answer.headers["x-tierflow-endpoint"]
    head = rig.http.head("/version")
    assert (head.status_code, head.content) == (200, b"")


def kept(rig: Rig, model: str, **more: Any) -> dict[str, Any]:
    body = {"model": model, "input": "hi", "max_output_tokens": 8, **more}
    answer: dict[str, Any] = rig.http.post("/v1/responses", json=body).json()
    return answer


@pytest.mark.parametrize("model", ["rill-edge", "rill-cloud"])
def test_a_stored_response_is_found_at_its_endpoint_by_every_replica(rig: Rig, model: str) -> None:
    for response in [kept(rig, model) for _ in range(4)]:
        for gateway in (0, 1):
            with rig.at(gateway) as http:
                for _ in range(2):
                    found = http.get(f"/v1/responses/{response['id']}")
                    assert (found.status_code, found.json()) == (200, response)


def test_a_response_in_the_background_is_cancelled_where_it_runs(rig: Rig) -> None:
    response = kept(rig, "rill-edge", background=True)
    assert response["status"] == "queued"
    with rig.at(1) as http:
        cancelled = http.post(f"/v1/responses/{response['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    again = rig.http.get(f"/v1/responses/{response['id']}")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


def test_a_response_that_goes_on_from_another_goes_to_its_endpoint(rig: Rig) -> None:
    for first in [kept(rig, "rill-edge") for _ in range(4)]:
        with rig.at(1) as http:
            body = {"model": "rill-edge", "input": "hi", "previous_response_id": first["id"]}
            answer = http.post("/v1/responses", json=body)
            assert answer.status_code == 200
            assert answer.headers["x-tierflow-reason"] == "stored"


def test_a_virtual_model_goes_on_where_the_response_is_kept_and_says_so(rig: Rig) -> None:
    first = kept(rig, "rill-edge")["id"]
    body = {"model": "tierflow-cloud", "input": "hi", "previous_response_id": first}
    answer = rig.http.post("/v1/responses", json=body)
    found = [answer.headers[f"x-tierflow-{name}"] for name in ("tier", "reason")]
    assert (answer.status_code, found) == (200, ["edge", "stored"])


@pytest.mark.parametrize(
    ("model", "status", "code", "param"),
    [
        ("rill-cloud", 400, "invalid_value", "previous_response_id"),
        ("nobody", 404, "model_not_found", "model"),
    ],
)
def test_a_model_that_is_not_where_the_response_is_kept_is_refused_by_its_field(
    rig: Rig, model: str, status: int, code: str, param: str
) -> None:
    first = kept(rig, "rill-edge")["id"]
    body = {"model": model, "input": "hi", "previous_response_id": first}
    answer = rig.http.post("/v1/responses", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert "rill-edge" in error["message"]
    assert ("does not exist" in error["message"]) == (model == "nobody")


def test_a_response_that_nobody_has_is_not_found(rig: Rig) -> None:
    for method, path in (("GET", "/v1/responses/resp_0"), ("POST", "/v1/responses/resp_0/cancel")):
        answer = rig.http.request(method, path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "unknown_response")
        assert error["param"] == "response_id"


def test_a_key_finds_no_response_of_a_tier_that_it_is_not_for(rig: Rig) -> None:
    of_cloud, of_edge = kept(rig, "rill-cloud")["id"], kept(rig, "rill-edge")["id"]
    with rig.at(0, OF_EDGE) as http:
        assert http.get(f"/v1/responses/{of_cloud}").status_code == 404
        assert http.get(f"/v1/responses/{of_edge}").status_code == 200
    url = rig.replicas.each[0].url
    assert httpx.get(f"{url}/v1/responses/{of_edge}").status_code == 401
