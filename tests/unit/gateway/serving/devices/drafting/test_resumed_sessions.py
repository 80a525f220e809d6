"""Sessions whose engine breaks after tokens were verified: another goes on from there, unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.core.speculation.job import Batch
from gateway.errors import EngineFailed, InvalidRequest, UpstreamError
from gateway.protocol.device_link import speculation as wire
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import VerifiedPiece, VerifiedScripts, at_first
from tests.unit.gateway.serving.devices.device_rig import DeviceRig, FakeLink, opening, until

pytestmark = pytest.mark.anyio

HELLO = wire.Hello(wire.VERSION)
REST: list[VerifiedPiece] = [Batch(ids=[7]), Batch(ids=[8], reason="stop")]
SHORT = {"usual_floor_s": 0.02}
IMPATIENT = AnswerTimeouts(first_token_s=30.0, idle_s=0.02, answer_s=30.0)


def broke(endpoint: str = "edge:1") -> UpstreamError:
    return EngineFailed("broke", endpoint=endpoint, code="engine_disconnected")


def two_engines(
    first: Sequence[VerifiedPiece],
    second: Sequence[VerifiedPiece] = REST,
    timeouts: AnswerTimeouts | None = None,
    **more: Any,
) -> DeviceRig:
    """The first is chosen first; both serve the same model. `more` is for the rig."""
    states = [state("edge:1"), state("edge:2", waiting=5)]
    scripts = {"edge:1": lambda: first, "edge:2": lambda: second}
    return DeviceRig(states, scripts, timeouts=timeouts, **more)


async def finished(rig: DeviceRig, *frames: wire.FromDevice) -> FakeLink:
    link = FakeLink(HELLO, *frames)
    task = rig.connect(link)
    await until(lambda: link.of(wire.Done) or link.of(wire.Error))
    link.leave()
    await task
    rig.assert_nothing_left_open()
    return link


def assert_one_session(link: FakeLink, ids: list[int]) -> None:
    """Every id once, at its position; one `opened`, one `done`."""
    said: list[int] = []
    for frame in link.of(wire.Tokens):
        assert frame.p == len(said)
        said += frame.i
    assert said == ids
    assert len(link.of(wire.Opened)) == 1
    (done,) = link.of(wire.Done)
    assert (done.reason, done.prompt_tokens, done.completion_tokens) == ("stop", 3, len(ids))
    assert not link.of(wire.Error)


@pytest.mark.parametrize(
    ("last", "cause"),
    [(broke(), "engine_disconnected"), (Batch(ids=[], reason="abort"), "engine_aborted")],
)
async def test_another_engine_goes_on_from_what_was_verified(
    last: VerifiedPiece, cause: str
) -> None:
    rig = two_engines([Batch(ids=[5, 6]), last])
    sampling = wire.Sampling(max_tokens=9, seed=3)
    assert_one_session(await finished(rig, opening(sampling=sampling)), [5, 6, 7, 8])
    first, second = rig.verifier.jobs
    assert (first.prompt, second.prompt) == ([1, 2, 3], [1, 2, 3, 5, 6])
    assert second.sampling == {"max_tokens": 7, "seed": 5}
    assert rig.telemetry.resumptions == [("draft", "resumed", cause)]
    (outcome,) = rig.sessions.outcomes
    assert (outcome.request.kind, outcome.request.endpoint) == ("ok", "edge:2")
    assert (outcome.request.attempts, outcome.request.resumptions) == (2, 1)
    assert (outcome.request.prompt_tokens, outcome.request.completion_tokens) == (3, 4)


async def test_an_engine_that_falls_silent_is_left_for_another() -> None:
    rig = two_engines([Batch(ids=[5, 6]), None], timeouts=IMPATIENT)
    assert_one_session(await finished(rig, opening()), [5, 6, 7, 8])
    assert rig.telemetry.resumptions == [("draft", "resumed", "idle_timeout")]


async def test_the_engines_count_of_the_prompt_is_without_what_another_had_answered() -> None:
    rig = two_engines([Batch(ids=[5, 6]), broke()])
    rig.verifier.usage = (5, 2)
    assert_one_session(await finished(rig, opening()), [5, 6, 7, 8])


async def test_where_no_other_engine_is_left_the_device_gets_the_break() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": at_first([Batch(ids=[5]), broke()], [broke()])})
    link = await finished(rig, opening())
    assert [frame.i for frame in link.of(wire.Tokens)] == [[5]]
    assert link.of(wire.Error)[0].code == "engine_disconnected"
    assert rig.telemetry.resumptions == [("draft", "failed", "engine_disconnected")]


async def test_only_an_engine_with_the_same_model_and_tokenizer_goes_on() -> None:
    others = [state("edge:2", model="other"), state("edge:3")]
    others[1].tokenizer = "g"
    script = at_first([Batch(ids=[5]), broke()], [broke()])
    rig = DeviceRig([state("edge:1"), *others], {"edge:1": script})
    link = await finished(rig, opening(model="rill-edge"))
    assert link.of(wire.Error)[0].code == "engine_disconnected"
    assert len(rig.verifier.jobs) == 2, "only the one that broke was asked again"


async def test_an_answer_that_was_complete_before_its_engine_broke_is_done() -> None:
    rig = two_engines([Batch(ids=[5, 6]), Batch(ids=[7], reason="stop", stop="END"), broke()])
    link = await finished(rig, opening())
    assert_one_session(link, [5, 6, 7])
    assert link.of(wire.Done)[0].stop == "END"
    assert len(rig.verifier.jobs) == 1
    assert rig.telemetry.resumptions == []


async def test_an_answer_of_the_full_length_needs_no_other_engine() -> None:
    rig = two_engines([Batch(ids=[5, 6]), broke()])
    link = await finished(rig, opening(sampling=wire.Sampling(max_tokens=2)))
    assert link.of(wire.Done)[0].reason == "length"
    assert len(rig.verifier.jobs) == 1
    assert rig.telemetry.resumptions == [("draft", "resumed", "engine_disconnected")]


async def test_an_engine_that_refuses_the_longer_prompt_is_left_for_another() -> None:
    states = [
        state("edge:1"),
        state("edge:2", waiting=5, max_model_len=4),
        state("edge:3", waiting=9),
    ]
    scripts: VerifiedScripts = {
        "edge:1": lambda: [Batch(ids=[5, 6]), broke()],
        "edge:3": lambda: REST,
    }
    rig = DeviceRig(states, scripts)
    assert_one_session(await finished(rig, opening()), [5, 6, 7, 8])


async def test_a_refused_continuation_is_no_fault_of_the_devices() -> None:
    refusal = InvalidRequest("no", code="engine_refused")
    states = [state("edge:1"), state("edge:2", waiting=5)]
    script = at_first([Batch(ids=[5, 6]), broke()], [broke()])
    rig = DeviceRig(states, {"edge:1": script, "edge:2": lambda: [refusal]})
    rig.verifier.refusals["edge:2"] = refusal
    link = await finished(rig, opening())
    assert link.of(wire.Error)[0].code == "engine_disconnected"


async def test_the_only_engine_goes_on_itself_where_it_is_well() -> None:
    """Most often only the connection was cut."""
    rig = DeviceRig([state("edge:1")], {"edge:1": at_first([Batch(ids=[5, 6]), broke()], REST)})
    assert_one_session(await finished(rig, opening()), [5, 6, 7, 8])
    assert rig.telemetry.resumptions == [("draft", "resumed", "engine_disconnected")]


async def test_drafts_reach_the_engine_that_goes_on_as_it_counts_positions() -> None:
    rig = two_engines([Batch(ids=[5, 6]), broke()], [None])
    rig.verifier.accepting_at["edge:2"].clear()
    link = FakeLink(HELLO, opening())
    task = rig.connect(link)
    await until(lambda: len(rig.verifier.jobs) == 2)
    link.put(
        wire.Draft(s=1, p=1, i=[6, 7], b=[5]),
        wire.Draft(s=1, p=3, i=[9], b=[5, 6, 8]),
        wire.Draft(s=1, p=3, i=[9], b=[5, 5, 8]),
        wire.Ping(n=1),
    )
    await until(lambda: link.of(wire.Pong))
    rig.verifier.accepting_at["edge:2"].set()
    await until(lambda: len(rig.verifier.made) == 2)
    await until(lambda: rig.verifier.made[1].drafts)
    assert rig.verifier.made[1].drafts == [(0, [7], []), (1, [9], [8])]
    link.leave()
    await task
    rig.assert_nothing_left_open()


async def test_a_stop_text_that_two_engines_write_together_ends_the_answer() -> None:
    second: list[VerifiedPiece] = [Batch(ids=[68, 69], text="DE"), Batch(ids=[70], text="F")]
    rig = two_engines([Batch(ids=[65, 66, 67], text="A"), broke()], second)
    link = await finished(rig, opening(sampling=wire.Sampling(stop=["BCD"], max_tokens=50)))
    assert_one_session(link, [65, 66, 67, 68, 69])
    assert link.of(wire.Done)[0].stop == "BCD"
    assert rig.verifier.jobs[1].sampling == {"max_tokens": 47}


async def test_without_the_text_so_far_the_answer_goes_on_all_the_same() -> None:
    rig = two_engines([Batch(ids=[65, 66], text="A"), broke()])
    rig.verifier.tells_texts = False
    assert_one_session(
        await finished(rig, opening(sampling=wire.Sampling(stop=["X"]))), [65, 66, 7, 8]
    )


async def test_a_device_goes_on_with_an_answer_whose_gateway_it_lost() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: REST})
    frame = opening(verified=[5, 6], sampling=wire.Sampling(max_tokens=9, seed=3))
    link = await finished(rig, frame)
    assert [(tokens.p, tokens.i) for tokens in link.of(wire.Tokens)] == [(2, [7]), (3, [8])]
    (done,) = link.of(wire.Done)
    assert (done.prompt_tokens, done.completion_tokens) == (3, 4)
    assert rig.verifier.jobs[0].prompt == [1, 2, 3, 5, 6]
    assert rig.verifier.jobs[0].sampling == {"max_tokens": 7, "seed": 5}
    assert rig.sessions.outcomes[0].request.completion_tokens == 2, "the others were made elsewhere"
    assert rig.telemetry.resumptions == [("draft", "resumed", "gateway_lost")]


async def test_a_session_that_waits_at_an_engine_that_goes_down_is_moved() -> None:
    rig = two_engines([None])
    link = FakeLink(HELLO, opening())
    task = rig.connect(link)
    await until(lambda: rig.states[0].waits)
    rig.states[0].healthy = False
    rig.states[0].lost()
    await until(lambda: link.of(wire.Done) or link.of(wire.Error))
    link.leave()
    await task
    rig.assert_nothing_left_open()
    assert_one_session(link, [7, 8])
    assert rig.telemetry.retries == [("edge", "endpoint_down")]


async def test_a_session_alone_goes_on_waiting_at_an_engine_that_looks_down() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: REST})
    rig.verifier.accepting.clear()
    link = FakeLink(HELLO, opening())
    task = rig.connect(link)
    await until(lambda: rig.states[0].waits)
    rig.states[0].lost()
    rig.verifier.accepting.set()
    await until(lambda: link.of(wire.Done) or link.of(wire.Error))
    link.leave()
    await task
    assert_one_session(link, [7, 8])


async def test_a_session_leaves_an_engine_that_is_silent_for_longer_than_is_usual_there() -> None:
    rig = two_engines([Batch(ids=[5, 6]), None], clock=MonotonicClock(), timeouts_more=SHORT)
    for _ in range(8):
        rig.states[0].usual.pauses.observe(0.001)
    assert_one_session(await finished(rig, opening()), [5, 6, 7, 8])
    assert rig.telemetry.resumptions == [("draft", "resumed", "idle_timeout")]


async def test_a_session_stays_at_an_engine_that_looks_down_and_still_sends() -> None:
    rig = two_engines([Batch(ids=[5]), None])
    link = FakeLink(HELLO, opening())
    task = rig.connect(link)
    await until(lambda: link.of(wire.Tokens))
    rig.states[0].lost()
    await asyncio.sleep(0)
    assert len(rig.verifier.jobs) == 1
    link.leave()
    await task
