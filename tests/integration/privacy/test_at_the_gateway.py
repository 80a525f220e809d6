"""Whose eyes a request meets: what comes to each engine over its wire, by the request's class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.servers import Server, eventually, start_gateway
from tests.stand_in import Answer, Request, StandIn, stand_in

pytestmark = pytest.mark.integration
CHAT = "/v1/chat/completions"
SECRET = "zwitscherkanarienvogel"


def engine_of(model: str) -> Any:
    def answer(request: Request) -> Answer:
        message = {"role": "assistant", "content": "Answer: 4"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "a", "object": "chat.completion", "created": 1, "model": model}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        return Answer({**body, "choices": [choice], "usage": usage})

    cards = [{"id": model, "object": "model", "max_model_len": 4096}]
    return {"/v1/models": Answer({"object": "list", "data": cards}), CHAT: answer}


@dataclass
class Place:
    gateway: Server
    engines: dict[str, StandIn]
    http: httpx.Client

    def ask(self, model: str, path: str = CHAT, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        messages = [{"role": "user", "content": f"{SECRET}: what is 2 plus 2?"}]
        body: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": 8}
        for engine in self.engines.values():
            engine.requests.clear()
        return self.http.post(self.gateway.url + path, json=body, headers=named)

    def seen_by(self) -> set[str]:
        """The tiers whose engine has got the words of the request."""
        return {
            tier
            for tier, engine in self.engines.items()
            if any(SECRET in json.dumps(request.body) for request in engine.requests)
        }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        engines = {
            tier: stack.enter_context(stand_in(engine_of(f"rill-{tier}")))
            for tier in ("edge", "cloud")
        }
        pools = {
            tier: {"tier": tier, "endpoints": [engine.url], "probe": "models"}
            for tier, engine in engines.items()
        }
        config = {
            "pools": pools,
            "family": ["rill-edge", "rill-cloud"],
            "scrape": {"interval_s": 9},
        }
        gateway = start_gateway(config, tmp_path_factory.mktemp("privacy"))
        stack.callback(gateway.stop)
        http = stack.enter_context(httpx.Client(timeout=30, trust_env=False))
        ready = gateway.url + "/ready"
        eventually(lambda: len(http.get(ready).json().get("pools", ())) == 2, "both pools are up")
        yield Place(gateway, engines, http)


@pytest.mark.parametrize("model", ["tierflow-auto", "tierflow-edge", "tierflow-cloud", "rill-edge"])
def test_the_owners_class_is_seen_by_the_tiers_that_are_allowed(place: Place, model: str) -> None:
    for _ in range(5):
        answer = place.ask(model, x_tierflow_privacy="owner")
        assert answer.status_code == 200, answer.text
        assert place.seen_by() == {"edge"}


@pytest.mark.parametrize(
    ("model", "privacy"),
    [
        ("rill-cloud", "owner"),
        ("rill-cloud", "private"),
        ("rill-edge", "private"),
        ("tierflow-auto", "private"),
        ("tierflow-cascade", "private"),
        ("tierflow-collective", "private"),
    ],
)
def test_what_no_tier_may_see_is_refused_and_goes_nowhere(
    place: Place, model: str, privacy: str
) -> None:
    answer = place.ask(model, x_tierflow_privacy=privacy)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "privacy_class")
    assert error["param"] == "x-tierflow-privacy"
    assert place.seen_by() == set()


@pytest.mark.parametrize("model", ["tierflow-cascade", "tierflow-collective"])
def test_what_virtual_models_ask_for_it_has_its_class(place: Place, model: str) -> None:
    answer = place.ask(model, x_tierflow_privacy="owner")
    assert answer.status_code == 200, answer.text
    assert place.seen_by() == {"edge"}


def test_nothing_of_it_is_kept_for_a_repetition(place: Place) -> None:
    answer = place.ask("tierflow-collective", x_tierflow_privacy="owner", idempotency_key="again")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "idempotency-key")
    assert place.seen_by() == set()


def test_a_class_that_does_not_exist_is_refused(place: Place) -> None:
    answer = place.ask("rill-edge", x_tierflow_privacy="secret")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_header")
    assert "public, owner, private" in error["message"]
    assert place.seen_by() == set()


def test_an_engine_of_an_allowed_tier_that_fails_sends_it_to_no_other_tier(place: Place) -> None:
    engine = place.engines["edge"]
    whole, engine.answers[CHAT] = engine.answers[CHAT], Answer({"error": "no"}, status=503)
    try:
        answer = place.ask("tierflow-auto", x_tierflow_privacy="owner")
        assert answer.status_code >= 500
        assert place.seen_by() == {"edge"}
    finally:
        engine.answers[CHAT] = whole
