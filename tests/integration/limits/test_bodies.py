"""What is in a body is nobody's trouble but its sender's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.servers import Server, start_gateway, start_simulator

pytestmark = pytest.mark.integration

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "What is 3 + 4?"}]
MIB = 1 << 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bodies")
    with ExitStack() as stack:
        engine = start_simulator("rill-edge", folder, "--unpaced")
        stack.callback(engine.stop)
        pools = {"edge": {"tier": "edge", "endpoints": [engine.url]}}
        server = start_gateway({"pools": pools, "family": ["rill-edge"]}, folder)
        stack.callback(server.stop)
        yield server


@pytest.fixture
def client(gateway: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=30) as client:
        yield client


@pytest.mark.parametrize("model", ["rill-edge", "tierflow-auto", "tierflow-cascade"])
@pytest.mark.parametrize(
    "poison",
    [b'"x":[' + b"[]," * MIB + b"1]", b'"x":{' + b'"k":1,' * MIB + b'"k":1}', b'"x":' + b"[" * MIB],
    ids=["lists", "fields", "depth"],
)
def test_what_would_take_too_long_to_parse_is_refused(
    client: httpx.Client, model: str, poison: bytes
) -> None:
    body = b'{"model":"%b",%b}' % (model.encode(), poison)
    answer = client.post(CHAT, content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "body_too_complex")


def test_a_virtual_model_answers_a_large_body_as_a_small_one(client: httpx.Client) -> None:
    fields = {"model": "tierflow-auto", "messages": MESSAGES, "max_tokens": 4, "temperature": 0}
    small = client.post(CHAT, json=fields).json()["choices"]
    large = client.post(CHAT, json={"user": "u" * MIB, "x": list(range(99_999)), **fields})
    assert large.json()["choices"][0]["message"] == small[0]["message"]


def test_the_models_that_read_all_of_a_body_take_less_of_it(client: httpx.Client) -> None:
    for text, setting in (("word " * MIB, "max_composed_bytes"), ("word " * 150_000, "_chars")):
        body = {"model": "tierflow-cascade", "messages": [{"role": "user", "content": text}]}
        answer = client.post(CHAT, json=body)
        assert answer.status_code == 413
        assert setting in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (CHAT, {"messages": MESSAGES, "n": 129}, "n"),
        ("/v1/completions", {"prompt": "hi", "best_of": "10000"}, "best_of"),
        (
            CHAT,
            {"messages": MESSAGES, "structured_outputs": {"choice": ["a"] * 50_000}},
            "structured_outputs.choice",
        ),
        (
            CHAT,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}
                        ],
                    }
                ]
            },
            "messages.0.content.0.image_url",
        ),
    ],
)
def test_what_asks_for_too_much_is_refused_by_its_field(
    client: httpx.Client, path: str, fields: dict[str, object], param: str
) -> None:
    answer = client.post(path, json={"model": "rill-edge", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("model", ["rill-edge", "tierflow-auto", "tierflow-collective"])
@pytest.mark.parametrize(
    "fields",
    [
        {"stop": True},
        {"n": {}},
        {"messages": [[]]},
        {"messages": {"role": "user"}},
        {"tools": 7},
        {"stream": []},
        {"max_tokens": "many"},
        {"prompt": [1, json.loads("[" * 900 + "]" * 900)]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_odd_types_are_the_callers_mistake(
    client: httpx.Client, model: str, fields: dict[str, object]
) -> None:
    paths = (CHAT, "/v1/completions") if model != "tierflow-collective" else (CHAT,)
    for path in paths:
        answer = client.post(path, json={"model": model, "messages": MESSAGES, **fields})
        assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("stream", [1, "true", "True"])
def test_a_stream_by_another_name_is_relayed_as_one(client: httpx.Client, stream: object) -> None:
    fields = {"model": "rill-edge", "messages": MESSAGES, "max_tokens": 3, "stream": stream}
    answer = client.post(CHAT, json=fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
