"""Tokens flow while confidence holds, and a switch of models loses and doubles nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.integration.cascade.chatting_engine import ids_of
from tests.integration.cascade.conftest import QUESTION, TwoTiers
from tests.servers import eventually

pytestmark = pytest.mark.integration
BEGUN = "Zwölf 🦊 und "
SMALL, LARGE = BEGUN + "sieben, grün", BEGUN + "acht 🦆, grün"
WINDOW = 2
"""That of the gateways' predictor."""


def doubting_at(tiers: TwoTiers, place: int, small: str = SMALL, large: str = LARGE) -> None:
    tiers.small.replies[QUESTION], tiers.large.replies[QUESTION] = small, large
    tiers.small.doubts = {place}


@pytest.mark.parametrize("place", range(len(BEGUN.encode()) + 1))
def test_wherever_the_doubt_is_the_text_goes_on_as_the_top_models(
    tiers: TwoTiers, place: int
) -> None:
    """Also within a letter of several tokens: the switch is never there."""
    doubting_at(tiers, place)
    reply = tiers.ask(stream=True)
    assert (reply.text, reply.ids) == (LARGE, ids_of(LARGE))
    assert (reply.reason, reply.done) == ("stop", True)
    assert reply.comments == [": escalated confidence rill-cloud"]
    sent = tiers.large.bodies[0]["prompt"][len(QUESTION) :]
    assert sent == ids_of(LARGE)[: len(sent)] and len(sent) <= max(0, place - WINDOW + 1)
    bytes(sent).decode()
    assert [stage["tokens"] for stage in reply.about["stages"]][1] == len(ids_of(LARGE)) - len(sent)


def test_what_flowed_stays_though_the_top_would_have_said_something_else(tiers: TwoTiers) -> None:
    doubting_at(tiers, 6, small="abcdefgh", large="xyz")
    reply = tiers.ask(stream=True)
    assert reply.text == "abcde!" and reply.reason == "stop"


def test_tokens_flow_before_the_small_answer_is_complete(tiers: TwoTiers) -> None:
    """It hangs in the middle, and its beginning has arrived."""
    tiers.small.replies[QUESTION] = "a" * 400
    with tiers.http.stream("POST", "/v1/chat/completions", json=tiers.body(True)) as response:
        lines = response.iter_lines()
        while not next(lines).endswith('"token_ids":[97]}]}'):
            pass
        assert tiers.small.running
        tiers.small.gate.clear()
    eventually(lambda: not tiers.small.running, "the work was given up")


def test_a_caller_that_is_cut_off_comes_back_to_the_rest(tiers: TwoTiers) -> None:
    """Also across the switch of models, and to another gateway."""
    doubting_at(tiers, 6)
    headers, text = {"x-tierflow-resumable": "30"}, ""
    path, body = "/v1/chat/completions", tiers.body(True)
    with tiers.http.stream("POST", path, json=body, headers=headers) as response:
        stream = response.headers["x-tierflow-stream"]
        first = next(line for line in response.iter_lines() if line.startswith("id: "))
    answer = tiers.http.get(f"/v1/streams/{stream}", headers={"last-event-id": first[4:]})
    for line in answer.text.split("\n"):
        if line.startswith("data: {"):
            for choice in orjson.loads(line[6:])["choices"]:
                text += choice["delta"].get("content") or ""
    assert text == LARGE
    assert answer.text.count("data: [DONE]") == 1
    # A comment is a line of its own: the official client takes a blank line after it for an event.
    assert "\n: escalated confidence rill-cloud\nid: " in answer.text


def test_after_a_dip_nothing_flows_until_it_is_decided(tiers: TwoTiers) -> None:
    doubting_at(tiers, 3)
    options: dict[str, Any] = {"cascade": {"threshold": 2.0}}
    reply = tiers.ask(stream=True, tierflow=options)
    assert tiers.large.bodies[0]["prompt"][len(QUESTION) :] == []
    assert reply.text == LARGE


@pytest.mark.parametrize("stop", ["grün", "8", "cht", "🦆,", "und a", "ölf"])
def test_a_stop_text_counts_wherever_the_switch_is(tiers: TwoTiers, stop: str) -> None:
    for place in range(4, len(BEGUN.encode()) + 1, 3):
        doubting_at(tiers, place)
        reply = tiers.ask(stream=True, stop=[stop])
        if stop in LARGE:
            assert reply.text == LARGE[: LARGE.index(stop)], place
            assert (reply.reason, reply.stop) == ("stop", stop)
        else:
            assert (reply.text, reply.stop) == (LARGE, None)
        assert reply.done


def test_what_was_made_before_a_stop_text_is_counted(tiers: TwoTiers) -> None:
    """The engine is left before it tells the usage."""
    doubting_at(tiers, 999)
    reply = tiers.ask(stream=True, stop=["sieben"])
    assert reply.text == SMALL[: SMALL.index("sieben")]
    made = len(SMALL[: SMALL.index("sieben") + len("sieben")].encode())
    assert made <= reply.usage["completion_tokens"] <= len(ids_of(SMALL))
    assert reply.usage["prompt_tokens"] == 5


def test_what_the_top_made_before_a_stop_text_is_counted(tiers: TwoTiers) -> None:
    doubting_at(tiers, len(BEGUN.encode()))
    reply = tiers.ask(stream=True, stop=["acht"])
    assert reply.about["escalated"] and reply.text == BEGUN
    [job] = tiers.large.bodies
    assert reply.usage["prompt_tokens"] == 5 + len(job["prompt"])


@pytest.mark.parametrize("most", [3, 9, 17, 30])
def test_a_bound_on_tokens_holds_over_the_switch(tiers: TwoTiers, most: int) -> None:
    doubting_at(tiers, 8)
    reply = tiers.ask(stream=True, max_tokens=most)
    whole = ids_of(LARGE)
    assert reply.ids == whole[:most]
    assert reply.reason == ("length" if most < len(whole) else "stop")


def test_a_small_model_that_breaks_off_is_followed_by_the_top(tiers: TwoTiers) -> None:
    doubting_at(tiers, 999)
    tiers.small.breaks_after = 12
    reply = tiers.ask(stream=True)
    assert (reply.text, reply.ids, reply.reason) == (LARGE, ids_of(LARGE), "stop")
    assert reply.about["reason"] == "tier-failed"
    assert len(tiers.large.bodies[0]["prompt"]) > len(QUESTION), "what had flowed went along"
    failed, answered = reply.about["stages"]
    assert (failed["model"], failed["tier"], failed["decision"]) == ("rill-edge", "edge", "failed")
    assert failed["tokens"] == tiers.small.breaks_after
    assert reply.usage["completion_tokens"] == failed["tokens"] + answered["tokens"]
    assert reply.usage["prompt_tokens"] == 5 + len(tiers.large.bodies[0]["prompt"])


def test_a_top_that_fails_after_a_beginning_leaves_the_rest_of_the_small_answer(
    tiers: TwoTiers,
) -> None:
    doubting_at(tiers, 12)
    tiers.large.refuses = tiers.large.chat_refuses = 500
    reply = tiers.ask(stream=True)
    assert (reply.text, reply.ids, reply.done) == (SMALL, ids_of(SMALL), True)
    assert reply.about["degraded"] == "engine_error"


def test_a_top_that_breaks_off_in_the_middle_ends_the_stream_with_an_error(tiers: TwoTiers) -> None:
    doubting_at(tiers, 8)
    tiers.large.breaks_after = 4
    reply = tiers.ask(stream=True)
    assert reply.error["code"] == "engine_disconnected" and not reply.done
    assert LARGE.startswith(reply.text)


def test_what_looks_at_the_whole_answer_is_never_split(tiers: TwoTiers) -> None:
    doubting_at(tiers, 12)
    reply = tiers.ask(stream=True, presence_penalty=1)
    assert reply.text == LARGE
    assert tiers.large.bodies[0]["prompt"][len(QUESTION) :] == []
