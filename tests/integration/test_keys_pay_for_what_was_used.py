"""A key is charged for what its requests used at servers, however they end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.deployment import gateway_config
from tests.integration.fleet import engine
from tests.keys import left, secret, static_keys
from tests.servers import Server, eventually, start_gateway

pytestmark = pytest.mark.integration
DAY = 864_000
"""Tokens: ten come back in a second."""
SAMPLES = 16
CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {
    "model": "rill-edge",
    "messages": [{"role": "user", "content": "Add 417 and 325 digit by digit."}],
    "max_tokens": 400,
    "stream": True,
    "ignore_eos": True,
}


class Priced:
    """A gateway whose keys have quotas, before one engine."""

    def __init__(self, edge: Server, gateway: Server) -> None:
        self.edge, self.gateway = edge, gateway

    def client(self, name: str, **headers: str) -> httpx.Client:
        shown = {"authorization": f"Bearer {secret(name)}", **headers}
        return httpx.Client(base_url=self.gateway.url, headers=shown, timeout=30)

    def left(self, name: str, what: str) -> int:
        with self.client(name) as client:
            return left(client.get("/v1/models"), what)

    def tokens(self, name: str) -> float:
        return self.gateway.metric("tierflow_key_tokens_total", key=name)


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Priced]:
    folder = tmp_path_factory.mktemp("priced")
    edge = engine("rill-edge", folder)
    keys: dict[str, dict[str, Any]] = {
        "leaves": {"tokens_per_day": DAY, "in_flight": 1},
        "hurried": {"tokens_per_day": DAY},
        "broken": {"tokens_per_day": DAY},
        "resumes": {"tokens_per_day": DAY, "in_flight": 1},
        "many": {"requests_per_min": 1000},
        "few": {"fan_out": SAMPLES},
        "one": {},
        "other": {},
    }
    pools = {"edge": {"tier": "edge", "endpoints": [edge.url]}}
    more = {"keys": {"static": static_keys(keys)}, "continuation": {"enabled": False}}
    gateway = start_gateway(gateway_config([], [], **more) | {"pools": pools}, folder)
    yield Priced(edge, gateway)
    gateway.stop()
    edge.stop()


def collective(**options: Any) -> dict[str, Any]:
    self_moa = {"mode": "self-moa", "self_moa": {"samples": SAMPLES, "model": "rill-edge"}}
    return {
        "model": "tierflow-collective",
        "messages": BODY["messages"],
        "max_tokens": 8,
        "tierflow": {"collective": {**self_moa, "aggregate": "template", **options}},
    }


def test_one_who_leaves_pays_for_what_was_made_and_frees_its_place(priced: Priced) -> None:
    with priced.client("leaves") as client:
        with client.stream("POST", CHAT, json=BODY) as answer:
            assert answer.status_code == 200
            events = answer.iter_lines()
            seen = [next(events) for _ in range(6)]
            assert client.post(CHAT, json=BODY).status_code == 429
    made = sum("delta" in line for line in seen)
    eventually(lambda: priced.tokens("leaves") >= made, "the tokens are counted")
    with priced.client("leaves") as client:
        eventually(
            lambda: client.post(CHAT, json={**BODY, "stream": False}).status_code == 200,
            "the place is free",
        )
    assert DAY - 1200 < priced.left("leaves", "tokens") < DAY


def test_one_who_leaves_an_answer_in_one_piece_pays_for_it(priced: Priced) -> None:
    body = {**BODY, "stream": False, "max_tokens": 900}
    with priced.client("hurried") as client, pytest.raises(httpx.ReadTimeout):
        client.post(CHAT, json=body, timeout=0.5)
    prompt = len(BODY["messages"][0]["content"]) // 4
    counted = eventually(lambda: priced.tokens("hurried"), "the tokens are counted")
    assert prompt + 5 < counted <= prompt + 900
    assert priced.left("hurried", "tokens") < DAY


def test_a_stream_that_breaks_is_paid_as_far_as_it_came(priced: Priced) -> None:
    faults = f"{priced.edge.url}/simulator/faults"
    fault = {"close_after_tokens": {"value": 20, "requests": 1}}
    assert httpx.post(faults, json=fault).status_code == 200
    with priced.client("broken") as client:
        text = client.post(CHAT, json=BODY).text
    assert "error" in text and "[DONE]" not in text
    counted = eventually(lambda: priced.tokens("broken"), "the tokens are counted")
    assert 20 <= counted < 100
    assert DAY - 100 < priced.left("broken", "tokens") <= DAY - 10


def test_a_stream_whose_caller_is_away_keeps_its_place_until_its_end(priced: Priced) -> None:
    with priced.client("resumes", **{"x-tierflow-resumable": "30"}) as client:
        with client.stream("POST", CHAT, json=BODY) as answer:
            stream = answer.headers["x-tierflow-stream"]
            next(answer.iter_lines())
        assert client.post(CHAT, json=BODY).status_code == 429
        assert client.get(f"/v1/streams/{stream}").text.rstrip().endswith("[DONE]")
        assert client.get(f"/v1/streams/{stream}").status_code == 200
    with priced.client("one") as stranger:
        assert stranger.get(f"/v1/streams/{stream}").status_code == 404
    assert eventually(lambda: priced.tokens("resumes"), "the tokens are counted") >= 400


def test_a_collective_is_paid_by_the_requests_that_engines_got(priced: Priced) -> None:
    with priced.client("many") as client:
        answer = client.post(CHAT, json=collective())
        assert answer.status_code == 200, answer.text
    left = priced.left("many", "requests")
    # Sixteen samples, and the one who reads them; sixteen come back in a second.
    assert 1000 - (SAMPLES + 1) <= left < 1000 - 1
    made = priced.gateway.metric("tierflow_subrequests_total")
    assert made >= SAMPLES + 1


def test_a_key_bounds_the_fan_out_of_a_collective(priced: Priced) -> None:
    with priced.client("few") as client:
        refused = client.post(CHAT, json=collective())
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "fan_out_exceeded")
        fewer = {"samples": 3, "model": "rill-edge"}
        assert client.post(CHAT, json=collective(self_moa=fewer)).status_code == 200


def test_two_callers_with_the_same_idempotency_key_get_answers_of_their_own(
    priced: Priced,
) -> None:
    key = {"idempotency-key": "order-7"}
    body = collective(self_moa={"samples": 1, "model": "rill-edge"})
    answers = []
    for name in ("one", "other", "one"):
        with priced.client(name, **key) as client:
            answers.append(client.post(CHAT, json=body).json()["id"])
    assert answers[0] == answers[2] != answers[1]
