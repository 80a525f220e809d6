"""What is accepted, what goes up, and as what: over real HTTP, with answers known beforehand."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.integration.cascade.chatting_engine import ids_of
from tests.integration.cascade.conftest import QUESTION, TwoTiers
from tests.servers import eventually

pytestmark = pytest.mark.integration
SMALL = "First twelve, then 7 more: Answer: 19"
LARGE = "First twelve, then 8 more: Answer: 20"
STREAMS = pytest.mark.parametrize("stream", [False, True])


def both(
    tiers: TwoTiers, small: str = SMALL, large: str = LARGE, doubts: set[int] | None = None
) -> None:
    tiers.small.replies[QUESTION] = small
    tiers.large.replies[QUESTION] = large
    tiers.small.doubts = doubts or set()


def exact(**options: Any) -> dict[str, Any]:
    return {"tierflow": {"cascade": {"stream_mode": "exact", **options}}}


@STREAMS
def test_a_sure_small_answer_is_the_answer(tiers: TwoTiers, stream: bool) -> None:
    both(tiers)
    reply = tiers.ask(stream)
    assert (reply.text, reply.ids, reply.reason) == (SMALL, ids_of(SMALL), "stop")
    assert reply.about["escalated"] is False and reply.about["reason"] is None
    [stage] = reply.about["stages"]
    assert (stage["model"], stage["tier"], stage["decision"]) == ("rill-edge", "edge", "accepted")
    assert stage["tokens"] == len(ids_of(SMALL)) and 0.5 < stage["confidence"] <= 1.0
    assert reply.usage["completion_tokens"] == len(ids_of(SMALL))
    assert not tiers.large.bodies


def test_an_accepted_body_is_the_engines_own_but_for_what_is_ours(tiers: TwoTiers) -> None:
    both(tiers)
    body = tiers.ask(return_token_ids=False).body
    assert (body["created"], body["model"]) == (7, "rill-edge")
    assert body["id"].startswith("chatcmpl-") and "/" not in body["id"]
    choice = body["choices"][0]
    assert choice["logprobs"] is None and choice["token_ids"] is None
    assert body["prompt_token_ids"] is None


@STREAMS
def test_a_doubtful_answer_goes_up_as_a_prediction_and_the_text_is_the_top_models(
    tiers: TwoTiers, stream: bool
) -> None:
    both(tiers, doubts={20})
    reply = tiers.ask(stream, **exact())
    assert (reply.text, reply.ids, reply.reason) == (LARGE, ids_of(LARGE), "stop")
    assert reply.about["escalated"] and reply.about["reason"] == "confidence"
    assert [stage["decision"] for stage in reply.about["stages"]] == ["escalated", "answered"]
    [job] = tiers.large.bodies
    [drafts] = tiers.large.drafts.values()
    offered = {p + n: token for p, ids in drafts for n, token in enumerate(ids)}
    assert [offered[place] for place in range(19)] == ids_of(SMALL)[:19]
    assert reply.about["prediction"] == "verified"
    assert reply.about["predicted_tokens"] == len(ids_of(SMALL))
    # Beyond the difference, too: after it the place was found again.
    assert reply.about["kept_tokens"] >= 24
    assert reply.comments == ([": escalated confidence rill-cloud"] if stream else [])
    assert reply.usage["completion_tokens"] == len(ids_of(SMALL)) + len(ids_of(LARGE))
    assert job["prompt"] == [ord(letter) for letter in QUESTION]


def test_without_a_way_for_drafts_the_top_is_asked_all_the_same(tiers: TwoTiers) -> None:
    both(tiers, doubts={5})
    tiers.large.close_mailbox()
    try:
        eventually(
            lambda: all(
                httpx.get(gateway.url + "/ready").json()["conditions"]
                for gateway in tiers.gateways.each
            ),
            "the mailbox is lost",
        )
        reply = tiers.ask()
    finally:
        tiers.large.open_mailbox()
    assert reply.text == LARGE
    assert reply.about["prediction"] == "no-drafts" and reply.about["kept_tokens"] == 0


@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_a_threshold_of_the_callers_decides(tiers: TwoTiers, threshold: float) -> None:
    both(tiers, doubts={5})
    reply = tiers.ask(**exact(threshold=threshold))
    assert reply.text == (LARGE if threshold else SMALL)


@pytest.mark.parametrize("stream", [False, True])
def test_a_small_tier_that_fails_is_passed_over(tiers: TwoTiers, stream: bool) -> None:
    """It is asked at the edge, which fails, and the request goes over to the cloud."""
    both(tiers)
    tiers.small.chat_refuses = 500
    reply = tiers.ask(stream)
    assert reply.text == LARGE and reply.reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_top_fails_the_small_answer_is_given_with_the_reason(
    tiers: TwoTiers, stream: bool
) -> None:
    both(tiers, doubts={20})
    tiers.large.refuses = tiers.large.chat_refuses = 500
    reply = tiers.ask(stream)
    assert (reply.status, reply.text, reply.ids) == (200, SMALL, ids_of(SMALL))
    assert reply.about["degraded"] == "engine_error" and reply.about["reason"] == "confidence"
    assert [stage["decision"] for stage in reply.about["stages"]] == ["escalated", "failed"]
    assert reply.done is stream


def test_an_answer_in_one_piece_survives_a_top_that_breaks_off(tiers: TwoTiers) -> None:
    both(tiers, doubts={20})
    tiers.large.breaks_after = 9
    reply = tiers.ask()
    assert (reply.status, reply.text) == (200, SMALL)
    assert reply.about["degraded"] == "engine_disconnected"


@pytest.mark.parametrize(
    ("samples", "up"), [(["Answer: 19"] * 4, False), (["Answer: 19", "20", "21", "22"], True)]
)
def test_samples_that_disagree_send_it_up(tiers: TwoTiers, samples: list[str], up: bool) -> None:
    both(tiers)
    tiers.small.samples = samples
    reply = tiers.ask(tierflow={"cascade": {"confidence": "agreement", "features": True}})
    assert reply.text == (LARGE if up else SMALL)
    assert reply.about["reason"] == ("disagreement" if up else None)
    stage = reply.about["stages"][0]
    assert stage["features"]["agreement"] == (0.25 if up else 1.0)
    assert stage["judging_tokens"] == 4 * len(ids_of(SMALL))


@pytest.mark.parametrize("verdict", ["Yes, it is.", "No."])
def test_a_model_that_doubts_its_own_answer_sends_it_up(tiers: TwoTiers, verdict: str) -> None:
    both(tiers)
    tiers.small.replies[
        f"{QUESTION}\n\nProposed answer:\n{SMALL}\n\n"
        "Is the proposed answer right? Answer yes or no."
    ] = verdict
    reply = tiers.ask(tierflow={"cascade": {"confidence": "self-check"}})
    assert reply.text == (SMALL if verdict.startswith("Yes") else LARGE)
    assert reply.about["reason"] == (None if verdict.startswith("Yes") else "self-check")


def test_what_is_kept_for_calibration_has_numbers_and_no_text(tiers: TwoTiers) -> None:
    both(tiers, doubts={20})
    before = [len(rows) for rows in _outcomes(tiers)]

    def added() -> dict[str, dict[str, Any]]:
        """By decision. What was judged otherwise is an earlier test's, and was written late."""
        both = zip(before, _outcomes(tiers), strict=True)
        rows = [row for count, rows in both for row in rows[count:]]
        return {row["decision"]: row for row in rows if row["method"] == "logprobs"}

    tiers.ask()
    tiers.small.doubts = set()
    tiers.ask()
    eventually(lambda: len(added()) == 2, "both are written")
    up, stayed = added()["escalated"], added()["accepted"]
    assert (up["agreed"], stayed["agreed"]) == (False, False), "19 and 20, and an audit"
    assert up["features"]["minimum"] < stayed["features"]["minimum"]
    assert (up["lower"], up["upper"]) == ("rill-edge", "rill-cloud")
    text = "".join(file.read_text() for file in tiers.outcomes) + tiers.gateways.output()
    assert QUESTION not in text and "twelve" not in text


def _outcomes(tiers: TwoTiers) -> list[list[dict[str, Any]]]:
    """Of each gateway."""
    texts = [file.read_text() if file.exists() else "" for file in tiers.outcomes]
    return [[json.loads(line) for line in text.splitlines()] for text in texts]


@contextmanager
def left_alone(tiers: TwoTiers, **fields: Any) -> Iterator[None]:
    """A caller that asks, and leaves when the block ends."""
    host, _, port = tiers.gateways.next().id.partition(":")
    data = json.dumps(tiers.body(True, **fields)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(data)}"
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + data)
        yield


def test_a_client_that_leaves_ends_the_work_of_both_tiers(tiers: TwoTiers) -> None:
    both(tiers, doubts={20})
    tiers.large.gate.clear()
    with left_alone(tiers, **exact()):
        eventually(lambda: tiers.large.running, "the top is at work")
    eventually(lambda: tiers.large.aborted and not tiers.large.running, "its work was given up")
    tiers.large.gate.set()
    tiers.small.gate.clear()
    with left_alone(tiers, tierflow={"cascade": {"threshold": 0.0}}):
        eventually(lambda: tiers.small.running, "the small model is at work")
    eventually(lambda: tiers.small.aborted and not tiers.small.running, "its work was given up")
    assert tiers.gateways.metric("tierflow_in_flight_requests") == 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"echo": True}, "echo"),
        ({"prompt_logprobs": 0}, "prompt_logprobs"),
        ({"tierflow": {"cascade": {"qualty": 0.9}}}, "tierflow.cascade.qualty"),
        ({"tierflow": {"cascade": {"quality": 7}}}, "tierflow.cascade.quality"),
        ({"tierflow": {"collective": {}}}, "tierflow.collective"),
        ({"messages": []}, "messages"),
        ({"stop": 5}, "stop"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(
    tiers: TwoTiers, fields: dict[str, Any], param: str
) -> None:
    answer = tiers.http.post("/v1/chat/completions", json=tiers.body(**fields))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_other_routes_refuse_it_and_models_lists_it(tiers: TwoTiers) -> None:
    body = {"model": "tierflow-cascade", "prompt": "hi", "input": "hi"}
    for path in ("/v1/completions", "/v1/embeddings", "/v1/responses", "/tokenize"):
        answer = tiers.http.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    card = tiers.http.get("/v1/models/tierflow-cascade").json()
    assert card["virtual"] and card["ready"]


def test_log_probabilities_come_with_whole_answers(tiers: TwoTiers) -> None:
    both(tiers)
    body = tiers.ask(logprobs=True).body
    assert len(body["choices"][0]["logprobs"]["content"]) == len(ids_of(SMALL))


def test_the_openai_package_reads_it(tiers: TwoTiers) -> None:
    both(tiers, doubts={20})
    http = tiers.gateways.openai_client()
    with OpenAI(
        base_url=tiers.gateways.v1, api_key="none", max_retries=0, http_client=http
    ) as client:
        question: Any = [{"role": "user", "content": QUESTION}]
        whole = client.chat.completions.create(model="tierflow-cascade", messages=question)
        assert whole.choices[0].message.content == LARGE
        assert whole.model_extra and whole.model_extra["tierflow"]["cascade"]["escalated"]
        chunks = list(
            client.chat.completions.create(
                model="tierflow-cascade",
                messages=question,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == LARGE
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens > 0


def test_metrics_tell_where_answers_came_from_and_what_they_cost(tiers: TwoTiers) -> None:
    both(tiers, doubts={20})
    names = [("answers_total", {"tier": "cloud"}), ("escalations_total", {"reason": "confidence"})]
    names += [("predicted_tokens_total", {}), ("kept_tokens_total", {})]
    names += [("tokens_total", {"tier": "edge"}), ("cost_total", {"tier": "cloud"})]
    names += [("confidence_count", {"tier": "edge"})]
    before = [tiers.metric(name, **labels) for name, labels in names]
    tiers.ask()
    after = [tiers.metric(name, **labels) for name, labels in names]
    rise = [now - then for now, then in zip(after, before, strict=True)]
    assert rise[0] == rise[1] == rise[6] == 1
    assert rise[2] == rise[4] == len(ids_of(SMALL))
    assert 0 < rise[3] <= rise[2]
    assert rise[5] == pytest.approx(10 * len(ids_of(LARGE)) / 1000)
