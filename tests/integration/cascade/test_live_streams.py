"""Tokens flow while confidence holds, and a switch of models loses and doubles nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.cascade.chatting_engine import ids_of
from tests.integration.cascade.conftest import QUESTION, Scene
from tests.servers import eventually

pytestmark = pytest.mark.integration
BEGUN = "Zwölf 🦊 und "
SMALL, LARGE = BEGUN + "sieben, grün", BEGUN + "acht 🦆, grün"
WINDOW = 2
"""That of the scene's predictor."""


def doubting_at(scene: Scene, place: int, small: str = SMALL, large: str = LARGE) -> None:
    scene.small.replies[QUESTION], scene.large.replies[QUESTION] = small, large
    scene.small.doubts = {place}


@pytest.mark.parametrize("place", range(len(BEGUN.encode()) + 1))
def test_wherever_the_doubt_is_the_text_goes_on_as_the_top_models(scene: Scene, place: int) -> None:
    """Also within a letter of several tokens: the switch is never there."""
    doubting_at(scene, place)
    reply = scene.ask(stream=True)
    assert (reply.text, reply.ids) == (LARGE, ids_of(LARGE))
    assert (reply.reason, reply.done) == ("stop", True)
    assert reply.comments == [": escalated confidence rill-cloud"]
    sent = scene.large.bodies[0]["prompt"][len(QUESTION) :]
    assert sent == ids_of(LARGE)[: len(sent)] and len(sent) <= max(0, place - WINDOW + 1)
    bytes(sent).decode()
    assert [stage["tokens"] for stage in reply.about["stages"]][1] == len(ids_of(LARGE)) - len(sent)


def test_what_flowed_stays_though_the_top_would_have_said_something_else(scene: Scene) -> None:
    doubting_at(scene, 6, small="abcdefgh", large="xyz")
    reply = scene.ask(stream=True)
    assert reply.text == "abcde!" and reply.reason == "stop"


def test_tokens_flow_before_the_small_answer_is_complete(scene: Scene) -> None:
    """It hangs in the middle, and its beginning has arrived."""
    scene.small.replies[QUESTION] = "a" * 400
    with scene.http.stream("POST", "/v1/chat/completions", json=scene.body(True)) as response:
        lines = response.iter_lines()
        while not next(lines).endswith('"token_ids":[97]}]}'):
            pass
        assert scene.small.running
        scene.small.gate.clear()
    eventually(lambda: not scene.small.running, "the work was given up")


def test_after_a_dip_nothing_flows_until_it_is_decided(scene: Scene) -> None:
    doubting_at(scene, 3)
    options: dict[str, Any] = {"cascade": {"threshold": 2.0}}
    reply = scene.ask(stream=True, tierflow=options)
    assert scene.large.bodies[0]["prompt"][len(QUESTION) :] == []
    assert reply.text == LARGE


@pytest.mark.parametrize("stop", ["grün", "8", "cht", "🦆,", "und a", "ölf"])
def test_a_stop_text_counts_wherever_the_switch_is(scene: Scene, stop: str) -> None:
    for place in range(4, len(BEGUN.encode()) + 1, 3):
        doubting_at(scene, place)
        reply = scene.ask(stream=True, stop=[stop])
        if stop in LARGE:
            assert reply.text == LARGE[: LARGE.index(stop)], place
            assert (reply.reason, reply.stop) == ("stop", stop)
        else:
            assert (reply.text, reply.stop) == (LARGE, None)
        assert reply.done


def test_what_was_made_before_a_stop_text_is_counted(scene: Scene) -> None:
    """The engine is left before it tells the usage."""
    doubting_at(scene, 999)
    reply = scene.ask(stream=True, stop=["sieben"])
    assert reply.text == SMALL[: SMALL.index("sieben")]
    made = len(SMALL[: SMALL.index("sieben") + len("sieben")].encode())
    assert made <= reply.usage["completion_tokens"] <= len(ids_of(SMALL))
    assert reply.usage["prompt_tokens"] == 5


def test_what_the_top_made_before_a_stop_text_is_counted(scene: Scene) -> None:
    doubting_at(scene, len(BEGUN.encode()))
    reply = scene.ask(stream=True, stop=["acht"])
    assert reply.about["escalated"] and reply.text == BEGUN
    [job] = scene.large.bodies
    assert reply.usage["prompt_tokens"] == 5 + len(job["prompt"])


@pytest.mark.parametrize("most", [3, 9, 17, 30])
def test_a_bound_on_tokens_holds_over_the_switch(scene: Scene, most: int) -> None:
    doubting_at(scene, 8)
    reply = scene.ask(stream=True, max_tokens=most)
    whole = ids_of(LARGE)
    assert reply.ids == whole[:most]
    assert reply.reason == ("length" if most < len(whole) else "stop")


def test_a_small_model_that_breaks_off_is_followed_by_the_top(scene: Scene) -> None:
    doubting_at(scene, 999)
    scene.small.breaks_after = 12
    reply = scene.ask(stream=True)
    assert (reply.text, reply.ids, reply.reason) == (LARGE, ids_of(LARGE), "stop")
    assert reply.about["reason"] == "tier-failed"
    assert len(scene.large.bodies[0]["prompt"]) > len(QUESTION), "what had flowed went along"
    failed, answered = reply.about["stages"]
    assert (failed["model"], failed["tier"], failed["decision"]) == ("rill-edge", "edge", "failed")
    assert failed["tokens"] == scene.small.breaks_after
    assert reply.usage["completion_tokens"] == failed["tokens"] + answered["tokens"]
    assert reply.usage["prompt_tokens"] == 5 + len(scene.large.bodies[0]["prompt"])


def test_a_top_that_fails_after_a_beginning_leaves_the_rest_of_the_small_answer(
    scene: Scene,
) -> None:
    doubting_at(scene, 12)
    scene.large.refuses = scene.large.chat_refuses = 500
    reply = scene.ask(stream=True)
    assert (reply.text, reply.ids, reply.done) == (SMALL, ids_of(SMALL), True)
    assert reply.about["degraded"] == "engine_error"


def test_a_top_that_breaks_off_in_the_middle_ends_the_stream_with_an_error(scene: Scene) -> None:
    doubting_at(scene, 8)
    scene.large.breaks_after = 4
    reply = scene.ask(stream=True)
    assert reply.error["code"] == "engine_disconnected" and not reply.done
    assert LARGE.startswith(reply.text)


def test_what_looks_at_the_whole_answer_is_never_split(scene: Scene) -> None:
    doubting_at(scene, 12)
    reply = scene.ask(stream=True, response_format={"type": "text"})
    assert reply.text == LARGE
    assert scene.large.bodies[0]["prompt"][len(QUESTION) :] == []
