"""What an application on the device gets from the agent: a real process before a real gateway."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from openai import OpenAI

from tests.integration.agent import ASKED, MODEL, QUESTION, World, start_agent
from tests.servers import eventually

pytestmark = pytest.mark.integration
WAYS = ["tierflow-device-cloud", "tierflow-auto", "rill-cloud"]
TWENTY: dict[str, Any] = {"messages": QUESTION, "max_tokens": 20}


@pytest.fixture
def client(here: World) -> Iterator[OpenAI]:
    with OpenAI(base_url=here.agent.url + "/v1", api_key="none", max_retries=0) as made:
        yield made


def streamed(here: World, body: dict[str, Any], **headers: str) -> list[Any]:
    """The events of a stream, which must end as in the OpenAI API."""
    answer = here.ask({**body, "stream": True}, **headers)
    assert answer.status_code == 200, answer.text
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    return [orjson.loads(event) for event in events]


def ids_of(events: list[Any]) -> list[int]:
    choices = [choice for event in events for choice in event["choices"]]
    return [token for choice in choices for token in choice.get("token_ids", [])]


def text_of(events: list[Any]) -> str:
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    return "".join(delta.get("content", "") for delta in deltas)


@pytest.mark.parametrize("model", WAYS)
@pytest.mark.parametrize("window", ["auto", "1", "16"])
def test_a_verified_answer_is_the_servers_own(here: World, model: str, window: str) -> None:
    truth = here.engine.to(QUESTION, 40)
    body = {**ASKED, "model": model, "return_token_ids": True}
    answer = here.ask(body, x_tierflow_draft_window=window)
    whole = answer.json()
    (choice,) = whole["choices"]
    assert choice["token_ids"] == truth
    assert choice["message"]["content"] == here.engine.text.tokenizer.decode(truth)
    assert choice["finish_reason"] == "length"
    assert whole["usage"]["completion_tokens"] == 40
    assert answer.headers["x-tierflow-verified-tokens"] == "40"
    report = whole["tierflow"]
    assert (report["way"], report["endpoint"]) == ("device-cloud", here.engine.url[7:])
    assert (report["verified_tokens"], report["unverified_tokens"]) == (40, 0)
    assert report["degraded"] is None


def test_drafts_are_accepted_and_told(here: World) -> None:
    events = streamed(
        here,
        {**ASKED, "model": "tierflow-device-cloud", "return_token_ids": True},
        x_tierflow_draft_window="16",
        x_tierflow_marks="1",
    )
    makers = [maker for event in events for maker in event.get("tierflow", {}).get("by", [])]
    report = events[-1]["tierflow"]
    assert len(makers) == 40
    assert 0 < report["accepted_tokens"] == makers.count("draft") <= report["drafted_tokens"]
    assert set(makers) == {"draft", "verifier"}
    marked = [event["tierflow"]["by"] for event in events if "by" in event.get("tierflow", {})]
    assert all(len(set(by)) == 1 for by in marked), "each chunk has one maker"
    assert ids_of(events) == here.engine.to(QUESTION, 40)


def test_window_0_drafts_nothing(here: World) -> None:
    body = {**ASKED, "model": "tierflow-device-cloud"}
    report = here.ask(body, x_tierflow_draft_window="0").json()["tierflow"]
    assert (report["drafted_tokens"], report["verified_tokens"]) == (0, 40)
    session = here.engine.bodies[-1].get("vllm_xargs", {}).get("draft_session", "")
    assert not here.engine.drafts.get(session)


def test_an_answer_on_the_device_asks_no_server(here: World) -> None:
    body = {**TWENTY, "return_token_ids": True}
    whole = here.ask({**body, "model": "tierflow-on-device"}).json()
    named = here.ask({**body, "model": MODEL.name}).json()
    assert whole["choices"][0]["message"] == named["choices"][0]["message"]
    assert whole["tierflow"]["way"] == "on-device"
    assert whole["tierflow"]["verified_tokens"] == 0
    assert whole["tierflow"]["unverified_tokens"] == whole["usage"]["completion_tokens"]
    assert whole["tierflow"]["degraded"] is None
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert not here.engine.bodies


@pytest.mark.parametrize("model", ["tierflow-on-device", "tierflow-auto"])
def test_the_openai_client_streams_and_reads_usage(client: OpenAI, model: str) -> None:
    messages: Any = QUESTION
    whole = client.chat.completions.create(model=model, messages=messages, max_tokens=20)
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=messages,
            max_tokens=20,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason


def test_plain_completions_take_text_and_ids(client: OpenAI, here: World) -> None:
    ids = here.engine.text.encode("Hello")
    answers = [
        client.completions.create(model="tierflow-auto", prompt=prompt, max_tokens=8)
        for prompt in ("Hello", ids)
    ]
    assert answers[0].choices[0].text == answers[1].choices[0].text
    assert answers[0].usage == answers[1].usage
    assert answers[0].usage is not None and answers[0].usage.prompt_tokens == len(ids)


def test_content_in_parts_is_the_same_message(here: World) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION[0]["content"]}]}]
    body = {**TWENTY, "model": "tierflow-on-device"}
    plain, split = here.ask(body).json(), here.ask({**body, "messages": parts}).json()
    assert plain["choices"] == split["choices"]


@pytest.mark.parametrize("model", ["tierflow-on-device", "tierflow-device-cloud"])
def test_stop_texts_end_the_answer_before_them(here: World, model: str) -> None:
    body = {**ASKED, "model": model, "messages": QUESTION}
    free = here.ask(body).json()["choices"][0]["message"]["content"]
    stop = free[len(free) // 2 : len(free) // 2 + 3]
    answer = here.ask({**body, "stop": [stop, "never there"]}).json()["choices"][0]
    assert answer["message"]["content"] == free[: free.index(stop)]
    assert answer["finish_reason"] == "stop"
    assert text_of(streamed(here, {**body, "stop": stop})) == free[: free.index(stop)]


def test_a_model_with_another_tokenizer_is_asked_without_drafts(here: World) -> None:
    answer = here.ask({**TWENTY, "model": "rill-edge"})
    assert answer.status_code == 200
    assert answer.json()["system_fingerprint"] == "engine-simulator-1"
    assert answer.headers["x-tierflow-tier"] == "edge"


@pytest.mark.parametrize("option", [{"logprobs": True}, {"n": 2}, {"presence_penalty": 0.5}])
def test_options_that_only_servers_understand_are_forwarded(
    here: World, option: dict[str, Any]
) -> None:
    body = {**TWENTY, "model": "tierflow-device-edge", **option}
    whole = here.ask(body).json()
    assert len(whole["choices"]) == option.get("n", 1)
    assert bool(whole["choices"][0]["logprobs"]) == option.get("logprobs", False)
    assert "tierflow" not in whole, "the answer is the gateway's"
    stream = streamed(here, body)
    assert {event["model"] for event in stream} == {whole["model"]}


def test_models_are_those_of_the_device_and_of_the_servers(client: OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert names >= {"tierflow-auto", "tierflow-on-device", "rill-device", "rill-cloud"}


def test_metrics_tell_ways_tokens_and_the_link(here: World) -> None:
    def figure(name: str, **labels: str) -> float:
        return here.agent.metric(f"tierflow_device_{name}", **labels)

    before = figure("tokens_total", kind="verified"), figure("accepted_tokens_total")
    answers = figure("answers_total", way="device-cloud", degraded="no")
    here.ask({**ASKED, "model": "tierflow-device-cloud"}, x_tierflow_draft_window="8")
    assert figure("tokens_total", kind="verified") == before[0] + 40
    assert figure("accepted_tokens_total") > before[1]
    assert figure("answers_total", way="device-cloud", degraded="no") == answers + 1
    assert figure("active_answers", way="device-cloud") == 0
    assert figure("link_connects_total") == 1
    eventually(lambda: figure("link_bytes_per_second") > 0, "the bandwidth is measured")
    assert figure("link_round_trip_seconds") > 0
    assert figure("draft_step_seconds") > 0
    assert figure("verifier_step_seconds", model="rill-cloud") > 0
    assert 0 < figure("acceptance", model="rill-cloud", guess="first") < 1


def test_a_client_that_leaves_a_stream_ends_the_work_everywhere(here: World) -> None:
    body = {**ASKED, "model": "tierflow-device-cloud", "stream": True, "max_tokens": 500}
    url = here.agent.url + "/v1/chat/completions"
    with here.http.stream("POST", url, json=body) as answer:
        assert next(answer.iter_lines()).startswith("data: ")
        here.engine.gate.clear()
    assert nobody_works(here)


def test_a_client_that_leaves_a_stream_of_the_servers_ends_the_work_there_at_once(
    here: World,
) -> None:
    """Though the stream would survive a link that breaks."""
    body = {**ASKED, "model": "rill-edge", "max_tokens": 900, "logprobs": True, "stream": True}
    url = here.agent.url + "/v1/chat/completions"
    with here.http.stream("POST", url, json=body) as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        assert here.gateway.metric("tierflow_resumable_streams", state="connected") == 1
        cancelled = here.gateway.metric("tierflow_requests_total", outcome="cancelled")
    eventually(
        lambda: here.gateway.metric("tierflow_requests_total", outcome="cancelled") > cancelled,
        "the gateway gave the work up",
    )
    assert here.gateway.metric("tierflow_resumable_streams", state="away") == 0


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example"}, "foreign_host"),
        ({"origin": "http://evil.example", "content-type": "text/plain"}, "foreign_origin"),
    ],
)
def test_a_web_page_that_is_none_of_its_own_gets_no_answer(
    here: World, headers: dict[str, str], code: str
) -> None:
    content = orjson.dumps({**TWENTY, "model": "tierflow-device"})
    url = here.agent.url + "/v1/chat/completions"
    answer = httpx.post(url, content=content, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_any_answer_ends_the_work_everywhere(
    here: World, stream: bool
) -> None:
    here.engine.gate.clear()
    body = {**ASKED, "model": "tierflow-device-cloud", "max_tokens": 500, "stream": stream}
    content = orjson.dumps(body)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    port = int(here.agent.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head.encode() + content)
        eventually(lambda: here.engine.running == 1, "the engine is at work")
    assert nobody_works(here)


def nobody_works(here: World) -> bool:
    """At the engine, the gateway and the agent. Raises AssertionError when one goes on."""
    eventually(lambda: here.engine.running == 0, "the engine stops")
    active = "tierflow_speculation_active_sessions"
    eventually(lambda: here.gateway.metric(active) == 0, "the session is over at the gateway")
    active = "tierflow_device_active_answers"
    return eventually(lambda: here.agent.metric(active) == 0, "and the answer at the agent")


def test_answers_at_once_do_not_mix(here: World) -> None:
    questions = [[{"role": "user", "content": f"What is {n} + {n}?"}] for n in range(6)]
    truths = [here.engine.to(question, 40) for question in questions]

    def answer(question: list[dict[str, str]]) -> Any:
        body = {**ASKED, "messages": question, "model": "tierflow-device-cloud"}
        return here.ask({**body, "return_token_ids": True}, x_tierflow_draft_window="8").json()

    with ThreadPoolExecutor(len(questions)) as pool:
        answers = list(pool.map(answer, questions))
    assert [answer["choices"][0]["token_ids"] for answer in answers] == truths


def test_two_devices_share_a_gateway(here: World, tmp_path: Path) -> None:
    watch = start_agent(here.gateway.url, tmp_path, token="token-of-the-watch")
    try:
        other = World(here.engine, here.gateway, watch, here.http)
        eventually(other.linked, "the watch is connected")
        body = {**ASKED, "model": "tierflow-device-cloud", "return_token_ids": True}
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda device: device.ask(body).json(), (here, other)))
    finally:
        watch.stop()
    truth = here.engine.to(QUESTION, 40)
    assert [answer["choices"][0]["token_ids"] for answer in answers] == [truth, truth]
    assert {answer["tierflow"]["degraded"] for answer in answers} == {None}


def test_a_wrong_token_leaves_the_device_alone_and_says_so(here: World, tmp_path: Path) -> None:
    stranger = start_agent(here.gateway.url, tmp_path, token="no token of ours")
    try:
        alone = World(here.engine, here.gateway, stranger, here.http)

        def told() -> bool:
            return "refuses the device token" in alone.ready()["conditions"].get("link-lost", "")

        eventually(told, "/ready tells why")
        report = alone.ask({**TWENTY, "model": "tierflow-auto"}).json()["tierflow"]
        assert report["way"] == "on-device"
        assert "refuses the device token" in report["degraded"]
    finally:
        stranger.stop()
