"""Link, gateway or engine are lost: answers go on verified where that can be, else they are
completed and say what nobody verified."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from loadtest.link.control import Control
from services.device_agent.drafters.onnx import OnnxDrafter
from services.device_agent.link.connection import SILENCE_S
from tests.integration.agent import ASKED, MODEL, QUESTION, World, link, world
from tests.integration.device import TOKEN
from tests.servers import eventually, start

pytestmark = pytest.mark.integration
TOKENS = 300
LONG_CUT_S = 15.0
"""Longer than the agent tries to connect again before it goes on alone."""
LONG: dict[str, Any] = {
    **ASKED,
    "model": "tierflow-auto",
    "max_tokens": TOKENS,
    "return_token_ids": True,
}


@dataclass
class Broken:
    """A world whose link `control` can break."""

    world: World
    control: Control

    def restart_gateway(self) -> None:
        """After it was killed: with the same settings at the same port."""
        before = self.world.gateway
        command = before.process.args
        assert isinstance(command, list)
        again = start("gateway", command, before.log.parent, before.url)
        before.process, before.log = again.process, again.log
        eventually(lambda: before.answers("/ready"), "the gateway is back", 60)


@pytest.fixture(scope="module")
def all_of_it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    folder = tmp_path_factory.mktemp("links")
    with ExitStack() as stack:
        controls: list[Control] = []

        def between(url: str) -> str:
            address, control = stack.enter_context(link(url, folder))
            controls.append(control)
            return address

        made = stack.enter_context(world(folder, between))
        yield Broken(made, controls[0])


@pytest.fixture
def here(all_of_it: Broken) -> Broken:
    """Whole again when the test begins, whatever was broken before."""
    engine = all_of_it.world.engine
    engine.gate.set()
    engine.breaks_after, engine.step_s = None, 0.002
    engine.breaks_for_good, engine.refuses = False, None
    all_of_it.control.ask(delay_ms=0, stall=None)
    eventually(all_of_it.world.linked, "the link is up")
    eventually(lambda: engine.running == 0, "the engine is idle")
    return all_of_it


@dataclass
class Heard:
    ids: list[int]
    makers: list[str]
    report: dict[str, Any]
    reason: str


def listen(here: Broken, at: int, act: Callable[[], object], **headers: str) -> Heard:
    """Streams an answer; once `at` tokens are verified, the engine pauses and `act` is called."""
    heard = Heard([], [], {}, "")
    url = here.world.agent.url + "/v1/chat/completions"
    named = {"x-tierflow-marks": "1", **headers}
    acted = False
    with here.world.http.stream(
        "POST", url, json={**LONG, "stream": True}, headers=named
    ) as answer:
        for line in answer.iter_lines():
            if not line.startswith("data: {"):
                continue
            event = orjson.loads(line[6:])
            choice = event["choices"][0]
            heard.ids += choice.get("token_ids", [])
            extra = event.get("tierflow", {})
            heard.makers += extra.get("by", [])
            if choice["finish_reason"]:
                heard.report, heard.reason = extra, choice["finish_reason"]
            if len(heard.ids) >= at and not acted:
                acted = True
                here.world.engine.gate.clear()
                act()
    return heard


def assert_went_on_alone(here: Broken, heard: Heard, reason: str) -> None:
    """The verified head is the server's, the rest is what the small model says after it."""
    verified = heard.report["verified_tokens"]
    truth = here.world.engine.to(QUESTION, TOKENS)
    assert 0 < verified < TOKENS
    assert heard.ids[:verified] == truth[:verified]
    assert heard.ids == truth[:verified] + continued(here, truth[:verified])
    assert heard.report["unverified_tokens"] == TOKENS - verified
    assert heard.makers[verified:] == ["device"] * (TOKENS - verified)
    assert "device" not in heard.makers[:verified]
    assert reason in heard.report["degraded"]
    assert heard.report["way"] == "device-cloud"
    assert heard.reason == "length"


def continued(here: Broken, begun: list[int]) -> list[int]:
    text = here.world.engine.text
    prompt = [*text.encode_chat(QUESTION), *begun]
    stream = OnnxDrafter(MODEL / "model.onnx", text.context).start()
    return [guess.token for guess in stream.draft(prompt, TOKENS - len(begun), lambda _: False)]


def assert_verifies_again(here: Broken) -> None:
    here.control.ask(cut_s=0)
    here.world.engine.gate.set()
    eventually(here.world.linked, "the link is back", 40)
    whole = here.world.ask(LONG).json()
    assert whole["choices"][0]["token_ids"] == here.world.engine.to(QUESTION, TOKENS)
    assert whole["tierflow"]["degraded"] is None
    assert here.world.ready()["conditions"] == {}


def test_an_answer_whose_link_is_cut_for_a_moment_goes_on_verified(here: Broken) -> None:
    def cut() -> None:
        here.control.ask(cut_s=0.05)
        here.world.engine.gate.set()

    heard = listen(here, 20, cut)
    assert heard.ids == here.world.engine.to(QUESTION, TOKENS)
    assert "device" not in heard.makers
    assert (heard.report["verified_tokens"], heard.report["unverified_tokens"]) == (TOKENS, 0)
    assert heard.report["degraded"] is None and heard.reason == "length"
    assert here.world.agent.metric("tierflow_device_resumptions_total") >= 1
    name = "tierflow_resumptions_total"
    assert here.world.gateway.metric(name, way="draft", cause="gateway_lost") >= 1


def test_an_answer_whose_link_stays_cut_is_completed_alone(here: Broken) -> None:
    heard = listen(here, 20, lambda: here.control.ask(cut_s=LONG_CUT_S))
    assert_went_on_alone(here, heard, "the connection to the gateway failed")
    assert heard.report["accepted_tokens"] <= heard.report["drafted_tokens"]
    eventually(lambda: here.world.engine.running == 0, "the engine is told")
    assert_verifies_again(here)


def test_while_the_link_is_cut_the_device_answers_alone_and_says_why(here: Broken) -> None:
    answered = here.world.agent.metric("tierflow_device_answers_total", degraded="yes")
    here.control.ask(cut_s=LONG_CUT_S)
    eventually(lambda: not here.world.linked(), "the loss is seen")
    whole = here.world.ask(LONG).json()
    assert whole["choices"][0]["token_ids"] == continued(here, [])
    assert whole["tierflow"]["way"] == "on-device"
    for told in (whole["tierflow"]["degraded"], here.world.ready()["conditions"]["link-lost"]):
        assert "the connection to the gateway" in told
    assert here.world.agent.answers("/ready"), "the device can answer"
    counted = here.world.agent.metric("tierflow_device_answers_total", degraded="yes")
    assert counted == answered + 1
    assert_verifies_again(here)


def test_without_a_link_what_only_servers_understand_is_refused(here: Broken) -> None:
    here.control.ask(cut_s=LONG_CUT_S)
    answer = here.world.ask({**LONG, "n": 2})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "gateway_unreachable")
    assert error["message"].startswith("n: ")
    assert_verifies_again(here)


def test_a_stream_that_only_passes_through_survives_a_cut(here: Broken) -> None:
    """A server's own answer, with what only servers give: the application sees one whole stream."""
    body = {**ASKED, "model": "rill-edge", "max_tokens": 60, "logprobs": True, "stream": True}
    url = here.world.gateway.url + "/v1/chat/completions"
    shown = {"authorization": f"Bearer {TOKEN}"}
    truth = chunks(here.world.http.post(url, json=body, headers=shown).text)
    resumed = here.world.gateway.metric("tierflow_streams_resumed_total")
    heard, cut = "", False
    url = here.world.agent.url + "/v1/chat/completions"
    with here.world.http.stream("POST", url, json=body) as answer:
        for text in answer.iter_text():
            heard += text
            if not cut and len(chunks(heard)) >= 10:
                cut = True
                here.control.ask(cut_s=0.3)
    assert chunks(heard) == truth
    assert heard.count("[DONE]") == 1
    assert "id: " not in heard
    assert here.world.gateway.metric("tierflow_streams_resumed_total") > resumed


def chunks(stream: str) -> list[str]:
    """The text of each whole event that has some."""
    lines = [line[6:] for line in stream.split("\n\n")[:-1] if line.startswith("data: {")]
    deltas = [orjson.loads(line)["choices"][0]["delta"] for line in lines]
    return [delta["content"] for delta in deltas if delta.get("content")]


def test_silence_counts_as_a_loss(here: Broken) -> None:
    """Nothing is reset, nothing comes: only the silence tells."""
    gateway = here.world.gateway.process
    try:
        heard = listen(here, 20, lambda: gateway.send_signal(signal.SIGSTOP))
    finally:
        gateway.send_signal(signal.SIGCONT)
    assert_went_on_alone(here, heard, f"silent for {SILENCE_S:g} s")
    assert_verifies_again(here)


def test_a_stall_shorter_than_the_patience_loses_nothing(here: Broken) -> None:
    here.world.engine.step_s = 0.005
    connects = here.world.agent.metric("tierflow_device_link_connects_total")
    here.control.ask(delay_ms=5, stall=[0.5, 0.3])
    for window in ("auto", "0"):
        answer = here.world.ask(LONG, x_tierflow_draft_window=window).json()
        assert answer["choices"][0]["token_ids"] == here.world.engine.to(QUESTION, TOKENS)
        assert answer["tierflow"]["verified_tokens"] == TOKENS
        assert answer["tierflow"]["degraded"] is None
    assert here.world.agent.metric("tierflow_device_link_connects_total") == connects


def test_a_gateway_that_is_killed_and_comes_back(here: Broken) -> None:
    heard = listen(here, 20, here.world.gateway.kill)
    assert_went_on_alone(here, heard, "the connection to the gateway failed")
    here.restart_gateway()
    assert_verifies_again(here)


def test_an_engine_that_breaks_leaves_the_rest_to_the_device(here: Broken) -> None:
    here.world.engine.breaks_after = 20
    answer = here.world.ask(LONG)
    whole = answer.json()
    verified = whole["tierflow"]["verified_tokens"]
    begun = here.world.engine.to(QUESTION, TOKENS)[:verified]
    assert verified >= 20
    assert answer.headers["x-tierflow-verified-tokens"] == str(verified)
    assert whole["choices"][0]["token_ids"] == begun + continued(here, begun)
    assert whole["usage"]["completion_tokens"] == TOKENS
    assert whole["tierflow"]["unverified_tokens"] == TOKENS - verified
    assert whole["tierflow"]["degraded"]
    here.world.engine.breaks_after = None
    assert_verifies_again(here)


def test_a_stop_text_still_ends_what_the_device_goes_on_with(here: Broken) -> None:
    engine = here.world.engine
    engine.breaks_after, engine.breaks_for_good = 2, True
    free = here.world.ask(LONG, x_tierflow_draft_window="0").json()
    assert free["tierflow"]["verified_tokens"] == 2
    stop = engine.text.tokenizer.decode(free["choices"][0]["token_ids"][3:4])
    engine.refuses = None
    whole = here.world.ask({**LONG, "stop": stop}, x_tierflow_draft_window="0").json()
    content = free["choices"][0]["message"]["content"]
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["choices"][0]["message"]["content"] == content[: content.index(stop)]


def test_the_log_tells_losses_without_traces_and_without_text(here: Broken) -> None:
    printed = here.world.agent.output()
    assert "no link: " in printed
    assert "Traceback" not in printed
    assert QUESTION[0]["content"] not in printed
    assert json.dumps(LONG["messages"]) not in printed
