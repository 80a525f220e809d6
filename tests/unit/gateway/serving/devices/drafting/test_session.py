from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from gateway.core.speculation.job import Batch
from gateway.protocol.device_link import speculation as wire
from gateway.serving.devices.drafting.drafts import MAX_EARLY
from gateway.serving.devices.outbox import MAX_WAITING
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.settings.devices import DeviceSettings
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import StoppedClock, VerifiedPiece, VerifiedScripts, broken
from tests.unit.gateway.serving.devices.device_rig import (
    DeviceRig,
    FakeLink,
    opening,
    until,
)

pytestmark = pytest.mark.anyio

HELLO = wire.Hello(wire.VERSION)
ANSWER: list[VerifiedPiece] = [Batch(ids=[5, 6]), Batch(ids=[7], reason="stop", stop="END")]
IMPATIENT = AnswerTimeouts(first_token_s=0.02, idle_s=30.0, answer_s=30.0)


async def finished(rig: DeviceRig, *frames: wire.FromDevice) -> FakeLink:
    """One device sends these and leaves when its first session is over."""
    link = FakeLink(HELLO, *frames)
    task = rig.connect(link)
    await until(lambda: link.of(wire.Done) or link.of(wire.Error))
    link.leave()
    await task
    rig.assert_nothing_left_open()
    return link


async def test_an_answer_is_opened_relayed_and_done() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: ANSWER})
    link = await finished(rig, opening())
    assert link.sent[1:] == [
        wire.Opened(s=1, model="rill-edge", endpoint="edge:1", per_step=8),
        wire.Tokens(s=1, p=0, i=[5, 6]),
        wire.Tokens(s=1, p=2, i=[7]),
        wire.Done(s=1, reason="stop", prompt_tokens=3, completion_tokens=3, stop="END"),
    ]
    outcome = rig.sessions.outcomes[0].request
    assert (outcome.kind, outcome.tier, outcome.completion_tokens) == ("ok", "edge", 3)
    assert outcome.ttft_s is not None and outcome.tpot_s is not None


async def test_without_a_limit_the_answer_may_fill_the_context() -> None:
    rig = DeviceRig([state("edge:1", max_model_len=50)], {"edge:1": lambda: ANSWER})
    await finished(rig, opening())
    assert rig.verifier.jobs[0].sampling == {"max_tokens": 47}
    sampling = wire.Sampling(max_tokens=9, temperature=0.5)
    await finished(rig, opening(sampling=sampling))
    assert rig.verifier.jobs[1].sampling == {"max_tokens": 9, "temperature": 0.5}


async def test_drafts_that_come_early_wait_for_the_engine_within_bounds() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [None]})
    rig.verifier.accepting.clear()
    drafts = [wire.Draft(s=1, p=place, i=[place % 100]) for place in range(MAX_EARLY + 3)]
    link = FakeLink(HELLO, opening(), *drafts)
    task = rig.connect(link)
    await until(lambda: len(rig.sessions.fates) == 3)
    rig.verifier.accepting.set()
    await until(lambda: rig.verifier.made and len(rig.verifier.made[0].drafts) == MAX_EARLY)
    assert rig.verifier.made[0].drafts[:2] == [(0, [0], []), (1, [1], [])]
    assert rig.sessions.fates[:3] == [("edge", "dropped", 1)] * 3
    link.leave()
    await task
    rig.assert_nothing_left_open()


async def test_a_far_engine_has_drafts_before_it_has_said_that_it_takes_the_answer() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [None]})
    rig.verifier.takes_early = True
    rig.verifier.accepting.clear()
    link = FakeLink(HELLO, opening(), wire.Draft(s=1, p=0, i=[5, 6]))
    task = rig.connect(link)
    await until(lambda: rig.verifier.early_drafts)
    assert rig.verifier.early_drafts == [(0, [5, 6], [])]
    rig.verifier.accepting.set()
    await until(lambda: rig.verifier.made)
    link.put(wire.Draft(s=1, p=2, i=[7], b=[5, 6]))
    await until(lambda: rig.verifier.made[0].drafts)
    assert rig.verifier.made[0].drafts == [(2, [7], [5, 6])]
    link.leave()
    await task
    rig.assert_nothing_left_open()


async def test_branches_of_one_frame_go_to_the_engine_together() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [None]})
    draft = wire.Draft(s=1, p=0, i=[5], b=[], m=[wire.Run(1, [6, 7], [5]), wire.Run(1, [8], [5])])
    link = FakeLink(HELLO, opening(), draft)
    task = rig.connect(link)
    await until(lambda: rig.verifier.made and len(rig.verifier.made[0].drafts) == 3)
    assert rig.verifier.made[0].drafts == [(0, [5], []), (1, [6, 7], [5]), (1, [8], [5])]
    link.leave()
    await task


async def test_a_session_counts_the_bytes_of_its_own_frames() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: ANSWER})
    ask, draft = opening(), wire.Draft(s=1, p=0, i=[5, 6])
    link = await finished(rig, ask, draft)
    (outcome,) = rig.sessions.outcomes
    heard = [each for each in link.sent if isinstance(each, wire.Opened | wire.Tokens | wire.Done)]
    assert outcome.bytes_up == len(wire.encode(ask)) + len(wire.encode(draft))
    assert outcome.bytes_down == sum(len(wire.encode(each)) for each in heard)


async def test_a_frame_with_one_dishonest_draft_is_refused_whole() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [None]})
    dishonest = wire.Draft(s=1, p=0, i=[5], b=[], m=[wire.Run(100_000, [6])])
    link = FakeLink(HELLO, opening(), dishonest, wire.Draft(s=1, p=0, i=[9]))
    task = rig.connect(link)
    await until(lambda: rig.verifier.made and rig.verifier.made[0].drafts)
    assert rig.verifier.made[0].drafts == [(0, [9], [])]
    assert [error.code for error in link.of(wire.Error)] == ["position_ahead"]
    link.leave()
    await task


async def test_drafts_that_the_verifier_cannot_take_are_counted_and_change_nothing() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: ANSWER})
    rig.verifier.takes_drafts = False
    link = await finished(rig, opening(), wire.Draft(s=1, p=0, i=[5, 6]))
    assert link.of(wire.Done) == [
        wire.Done(s=1, reason="stop", prompt_tokens=3, completion_tokens=3, stop="END")
    ]
    assert rig.sessions.outcomes[0].dropped == 2


async def test_an_endpoint_that_cannot_be_reached_is_left_for_another() -> None:
    rig = DeviceRig([state("edge:1"), state("edge:2", waiting=5)], {"edge:2": lambda: ANSWER})
    link = await finished(rig, opening())
    assert link.of(wire.Opened)[0].endpoint == "edge:2"
    assert rig.endpoints.failed == ["edge:1"]
    assert not link.of(wire.Error)


async def test_a_failure_before_the_first_token_is_not_seen_by_the_device() -> None:
    scripts: VerifiedScripts = {"edge:1": lambda: [broken()], "edge:2": lambda: ANSWER}
    rig = DeviceRig([state("edge:1"), state("edge:2", waiting=5)], scripts)
    link = await finished(rig, opening())
    assert len(link.of(wire.Opened)) == 1
    assert [frame.i for frame in link.of(wire.Tokens)] == [[5, 6], [7]]
    assert rig.telemetry.retries == [("edge", "engine_disconnected")]


async def test_a_device_is_told_of_an_engine_that_never_begins_when_there_is_no_other() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [None]}, timeouts=IMPATIENT)
    link = await finished(rig, opening())
    error = link.of(wire.Error)[0]
    assert (error.code, error.s, error.fatal) == ("first_token_timeout", 1, True)


async def test_an_answer_that_the_only_engine_aborts_again_and_again_fails_the_session() -> None:
    rig = DeviceRig(
        [state("edge:1")], {"edge:1": lambda: [Batch(ids=[5]), Batch(ids=[], reason="abort")]}
    )
    assert (await finished(rig, opening())).of(wire.Error)[0].code == "engine_aborted"
    assert rig.telemetry.resumptions[-1] == ("draft", "failed", "engine_aborted")


async def test_an_unexpected_error_is_reported_without_its_message() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [ValueError("secret prompt")]})
    link = await finished(rig, opening())
    error = link.of(wire.Error)[0]
    assert (error.code, error.s) == ("internal_error", 1)
    assert rig.sessions.outcomes[0].problem.startswith("ValueError at ")
    assert "secret" not in error.message + rig.sessions.outcomes[0].problem


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tokenizer": "g"}, "tokenizer_differs"),
        ({"tier": "cloud"}, "no_endpoint"),
        ({"model": "rill-cloud"}, "model_not_found"),
    ],
)
async def test_a_session_that_no_endpoint_can_answer_fails(
    fields: dict[str, Any], code: str
) -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: ANSWER})
    link = await finished(rig, opening(**fields))
    assert [error.code for error in link.of(wire.Error)] == [code]


async def test_an_unknown_tokenizer_is_refused() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: ANSWER})
    rig.states[0].tokenizer = None
    assert (await finished(rig, opening())).of(wire.Error)[0].code == "tokenizer_unknown"


async def test_a_device_that_does_not_read_is_closed_and_holds_nobody_up() -> None:
    flood: list[VerifiedPiece] = [Batch(ids=[5] * 1000)] * (MAX_WAITING // 1000 + 2)
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [*flood, None]})
    stuck = FakeLink(HELLO)
    first = rig.connect(stuck, "stuck")
    await until(lambda: stuck.of(wire.Welcome))
    stuck.open.clear()
    stuck.put(opening())
    await first
    assert stuck.closed == (1008, "too_slow")
    assert rig.sessions.codes == ["too_slow"]
    rig.assert_nothing_left_open()


async def test_offers_are_what_healthy_endpoints_answer_with() -> None:
    states = [
        state("edge:1"),
        state("edge:2"),
        state("edge:3", healthy=False, model="other"),
        state("cloud:1", "cloud"),
    ]
    offers = DeviceRig(states, {}).shared.verifiers.offers()
    assert [(offer.tier, offer.model) for offer in offers] == [
        ("edge", "rill-edge"),
        ("cloud", "rill-cloud"),
    ]
    assert {(offer.tokenizer, offer.per_step) for offer in offers} == {("f", 8)}
    assert [offer.privacy for offer in offers] == [("public", "owner"), ("public",)]


async def test_a_connection_that_ends_says_nothing_about_its_sessions() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [Batch(ids=[5]), None]})
    older = FakeLink(HELLO, opening())
    task = rig.connect(older)
    await until(lambda: older.of(wire.Tokens))
    newer = FakeLink(HELLO)
    other = rig.connect(newer)
    await task
    assert not older.of(wire.Done)
    assert older.of(wire.Error)[0].code == "replaced"
    assert older.closed == (1008, "replaced")
    await until(lambda: newer.of(wire.Welcome))
    assert rig.sessions.devices[-1] == 1
    newer.leave()
    await other
    rig.assert_nothing_left_open()


async def test_opening_and_cancelling_without_pause_is_a_flood() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [None]}, clock=StoppedClock())
    link = FakeLink(HELLO)
    task = rig.connect(link)

    def ended(count: int) -> bool:
        return len(link.of(wire.Done)) == count

    for s in range(DeviceSettings().max_sessions):
        link.put(opening(s), wire.Cancel(s))
        await until(partial(ended, s + 1))
    link.put(opening(1000))
    await until(lambda: link.of(wire.Error))
    error = link.of(wire.Error)[0]
    assert (error.code, error.s, error.fatal) == ("flood", 1000, True)
    link.leave()
    await task


async def test_a_session_that_ends_leaves_its_place_to_a_request_that_waits() -> None:
    edge = state("edge:1")
    rig = DeviceRig([edge], {"edge:1": lambda: ANSWER})
    waiting = asyncio.create_task(rig.endpoints.wait_for_slot(lambda _: True))
    await asyncio.sleep(0)
    await finished(rig, opening())
    assert await asyncio.wait_for(waiting, 5) is edge


async def test_an_engine_that_takes_messages_makes_the_prompt_itself() -> None:
    first = Batch(ids=[5, 6], prompt=[97, 98])
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: [first, *ANSWER[1:]]})
    rig.verifier.makes_prompts = True
    messages = [{"role": "user", "content": "ab"}]
    link = await finished(rig, opening(prompt=[], messages=messages))
    assert link.sent[1] == wire.Opened(
        s=1, model="rill-edge", endpoint="edge:1", per_step=8, prompt=[97, 98]
    )
    assert [frame.i for frame in link.of(wire.Tokens)] == [[5, 6], [7]]
    assert link.of(wire.Done)[0].prompt_tokens == 2
    (job,) = rig.verifier.jobs
    assert (job.messages, job.prompt) == (messages, [])
    assert not rig.verifier.tokenized


async def test_an_answer_to_messages_goes_on_elsewhere_from_the_prompt_that_they_became() -> None:
    begun: list[VerifiedPiece] = [Batch(ids=[5, 6], prompt=[97, 98]), broken()]
    scripts = iter([begun, ANSWER[1:]])
    rig = DeviceRig(
        [state("edge:1"), state("edge:2")],
        dict.fromkeys(("edge:1", "edge:2"), lambda: next(scripts)),
    )
    rig.verifier.makes_prompts = True
    link = await finished(rig, opening(prompt=[], messages=[{"role": "user", "content": "ab"}]))
    assert [frame.i for frame in link.of(wire.Tokens)] == [[5, 6], [7]]
    first, second = rig.verifier.jobs
    assert (first.prompt, second.prompt) == ([], [97, 98, 5, 6])
    assert first.messages and not second.messages


async def test_an_engine_that_tells_no_prompt_has_failed() -> None:
    rig = DeviceRig([state("edge:1")], {"edge:1": lambda: ANSWER})
    rig.verifier.makes_prompts = True
    link = await finished(rig, opening(prompt=[], messages=[{"role": "user", "content": "ab"}]))
    (error,) = link.of(wire.Error)
    assert error.fatal and "prompt" in error.message
