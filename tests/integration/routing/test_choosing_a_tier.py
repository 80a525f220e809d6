"""Virtual models, demands by header, and what the answer says about the choice."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.deployment import Deployment
from tests.integration.fleet import MODELS

pytestmark = pytest.mark.integration
CHAT = "/v1/chat/completions"


def body(model: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "What is 5 plus 6?"}]
    return {"model": model, "messages": messages, "max_tokens": 4, "temperature": 0, **fields}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "tier", "reason"),
    [
        ("rill-edge", "edge", "model"),
        ("rill-cloud", "cloud", "model"),
        ("tierflow-edge", "edge", "tier"),
        ("tierflow-cloud", "cloud", "tier"),
    ],
)
def test_the_answer_says_where_it_comes_from_and_why(
    http: httpx.Client, deployment: Deployment, model: str, tier: str, reason: str, stream: bool
) -> None:
    answer = http.post(CHAT, json=body(model, stream=stream))
    engine = deployment.edge if tier == "edge" else deployment.cloud
    assert answer.status_code == 200
    assert answer.headers["x-tierflow-tier"] == tier
    assert answer.headers["x-tierflow-endpoint"] == engine.id
    assert answer.headers["x-tierflow-reason"] == reason
    assert f'"model":"rill-{tier}"' in answer.text


def test_auto_picks_one_of_the_tiers_by_time(http: httpx.Client) -> None:
    answer = http.post(CHAT, json=body("tierflow-auto"))
    assert answer.status_code == 200
    assert answer.headers["x-tierflow-tier"] in ("edge", "cloud")
    assert answer.headers["x-tierflow-reason"] == "least-time"


@pytest.mark.parametrize(
    ("model", "header", "value", "tier"),
    [
        ("tierflow-auto", "x-tierflow-max-tier", "edge", "edge"),
        ("tierflow-cloud", "x-tierflow-max-tier", "edge", "edge"),
        ("tierflow-auto", "x-tierflow-min-quality", "rill-cloud", "cloud"),
        ("tierflow-edge", "x-tierflow-min-quality", "rill-cloud", "cloud"),
        ("tierflow-edge", "x-tierflow-min-quality", "rill-device", "edge"),
        ("tierflow-edge", "x-tierflow-deadline-ms", "60000", "edge"),
    ],
)
def test_demands_are_obeyed(client: OpenAI, model: str, header: str, value: str, tier: str) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=2,
        extra_headers={header: value},
    )
    assert answer.headers["x-tierflow-tier"] == tier


@pytest.mark.parametrize(
    ("model", "header", "value", "code"),
    [
        ("tierflow-auto", "x-tierflow-max-tier", "moon", "invalid_header"),
        ("tierflow-auto", "x-tierflow-max-teir", "edge", "invalid_header"),
        ("tierflow-auto", "x-tierflow-deadline-ms", "soon", "invalid_header"),
        ("tierflow-auto", "x-tierflow-deadline-ms", "-5", "invalid_header"),
        ("tierflow-auto", "x-tierflow-min-quality", "gpt-1", "unknown_family_member"),
        ("rill-cloud", "x-tierflow-max-tier", "edge", "demand_not_met"),
        ("rill-edge", "x-tierflow-min-quality", "rill-cloud", "demand_not_met"),
    ],
)
def test_a_demand_that_cannot_be_met_is_a_400_that_names_the_header(
    http: httpx.Client, model: str, header: str, value: str, code: str
) -> None:
    answer = http.post(CHAT, json=body(model), headers={header: value})
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["param"], error["code"]) == (header, code)
    assert header in error["message"]


def test_a_deadline_that_passes_ends_the_wait(http: httpx.Client) -> None:
    slow = body("rill-cloud", max_tokens=900, ignore_eos=True)
    answer = http.post(CHAT, json=slow, headers={"x-tierflow-deadline-ms": "50"})
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "deadline_exceeded"


def test_the_request_id_is_the_callers_or_a_new_one(http: httpx.Client) -> None:
    given = http.post(CHAT, json=body("rill-edge"), headers={"x-request-id": "mine-7"})
    assert given.headers["x-request-id"] == "mine-7"
    made = [http.post(CHAT, json=body("rill-edge")).headers["x-request-id"] for _ in range(2)]
    assert len({*made}) == 2
    refused = http.post(CHAT, content=b"{", headers={"x-request-id": "mine-8"})
    assert refused.headers["x-request-id"] == "mine-8"


def test_a_request_id_that_could_break_a_log_is_replaced(http: httpx.Client) -> None:
    answer = http.post(CHAT, json=body("rill-edge"), headers={"x-request-id": 'a" b,{}'})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"].isalnum()


def test_models_are_listed_over_all_pools_with_tier_and_limits(
    client: OpenAI, deployment: Deployment
) -> None:
    listed = {model.id: model.model_dump() for model in client.models.list()}
    assert set(listed) == MODELS
    for tier in ("edge", "cloud"):
        engine = deployment.edge if tier == "edge" else deployment.cloud
        own = httpx.get(engine.url + "/v1/models").json()["data"][0]
        card = listed[f"rill-{tier}"]
        assert (card["tier"], card["pools"]) == (tier, [tier])
        assert card["max_model_len"] == own["max_model_len"] > 0
        assert card["max_request_bytes"] > 0
    assert client.models.retrieve("rill-edge").model_dump() == listed["rill-edge"]


def test_tokenize_and_detokenize_round_trip(http: httpx.Client) -> None:
    text = "Tom has 5 apples. Grüße!"
    asked = {"model": "rill-edge", "prompt": text, "add_special_tokens": False}
    tokens = http.post("/tokenize", json=asked)
    assert tokens.headers["x-tierflow-tier"] == "edge"
    back = http.post("/detokenize", json={"model": "rill-edge", "tokens": tokens.json()["tokens"]})
    assert back.json() == {"prompt": text}
    unnamed = http.post("/tokenize", json={"prompt": text, "add_special_tokens": False})
    assert unnamed.json()["tokens"] == tokens.json()["tokens"]
