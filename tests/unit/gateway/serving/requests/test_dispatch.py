from __future__ import annotations

import pytest

from gateway.errors import (
    ConnectFailed,
    DeadlineExceeded,
    EngineFailed,
    FirstTokenTimeout,
)
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from tests.unit.gateway.build import request, retry_budget, state
from tests.unit.gateway.fakes import (
    FakeAnswer,
    broken,
)
from tests.unit.gateway.rig import InferenceRig, stream, streamed, whole

pytestmark = pytest.mark.anyio

EVENTS = [b'data: {"a":1}\n\n', b'data: {"a":2}\n\n', b"data: [DONE]\n\n"]
NEVER = None


async def test_the_engine_gets_the_served_name_for_a_virtual_model() -> None:
    rig = InferenceRig({"edge:1": stream(*EVENTS)})
    await rig.ask(streamed(body=b'{"x":1.00, "model":"tierflow-edge"}'))
    assert rig.server.calls[0][2] == b'{"x":1.00, "model":"rill-edge"}'


async def test_an_engine_that_cannot_be_reached_is_taken_out_and_another_answers() -> None:
    rig = InferenceRig({"cloud:1": stream(*EVENTS)})
    sink = await rig.ask(streamed())
    assert sink.body == b"".join(EVENTS)
    assert rig.endpoints.failed == ["edge:1"]
    assert rig.telemetry.retries == [("edge", "connect_failed")]
    assert rig.telemetry.outcomes[0].reason == "retry"
    rig.assert_nothing_left_open()


async def test_a_server_error_before_the_first_byte_goes_elsewhere() -> None:
    rig = InferenceRig({"edge:1": whole(b"secret prompt", 500), "cloud:1": stream(*EVENTS)})
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    rig.assert_nothing_left_open()


async def test_a_retry_that_cannot_be_made_is_not_charged() -> None:
    budget = retry_budget(ratio=0.0, reserve=1.0)
    alone = InferenceRig({"edge:1": whole(b"", 500)}, [state("edge:1")], budget=budget)
    with pytest.raises(EngineFailed):
        await alone.ask(streamed())
    both = InferenceRig({"edge:1": whole(b"", 500), "cloud:1": stream(*EVENTS)}, budget=budget)
    assert (await both.ask(streamed())).body == b"".join(EVENTS)
    spent = InferenceRig({"edge:1": whole(b"", 500), "cloud:1": stream(*EVENTS)}, budget=budget)
    with pytest.raises(EngineFailed):
        await spent.ask(streamed())


async def test_without_another_endpoint_the_failure_itself_is_told() -> None:
    rig = InferenceRig({"edge:1": whole(b"secret prompt", 500)}, [state("edge:1")])
    with pytest.raises(EngineFailed, match="edge:1 answered /v1/chat/completions with status 500"):
        await rig.ask(streamed())
    assert rig.telemetry.outcomes[0].kind == "engine_error"
    assert rig.telemetry.retries == []
    rig.assert_nothing_left_open()


async def test_an_engine_that_never_begins_is_given_up_for_another() -> None:
    rig = InferenceRig(
        {"edge:1": stream(NEVER), "cloud:1": stream(*EVENTS)},
        timeouts=AnswerTimeouts(first_token_s=0.02, idle_s=30.0, answer_s=30.0),
    )
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    assert rig.telemetry.retries == [("edge", "first_token_timeout")]
    rig.assert_nothing_left_open()


async def test_the_attempts_of_one_request_are_bounded() -> None:
    states = [state(f"edge:{i}") for i in range(6)]
    failing = {s.endpoint.id: whole(b"", 500) for s in states}
    rig = InferenceRig(failing, states, budget=retry_budget(max_attempts=3))
    with pytest.raises(EngineFailed):
        await rig.ask(streamed())
    assert len(rig.server.calls) == 3
    assert len(rig.telemetry.retries) == 2
    rig.assert_nothing_left_open()


async def test_a_dead_pool_of_any_size_never_hides_a_healthy_one() -> None:
    states = [*(state(f"edge:{i}") for i in range(6)), state("cloud:1", "cloud")]
    rig = InferenceRig({"cloud:1": stream(*EVENTS)}, states, budget=retry_budget(reserve=0.0))
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    rig.assert_nothing_left_open()


async def test_when_no_endpoint_can_be_reached_that_is_told() -> None:
    rig = InferenceRig({})
    with pytest.raises(ConnectFailed):
        await rig.ask(streamed())
    assert rig.endpoints.failed == ["edge:1", "cloud:1"]


async def test_the_callers_deadline_ends_the_wait() -> None:
    rig = InferenceRig({"edge:1": stream(NEVER)})
    with pytest.raises(DeadlineExceeded):
        await rig.ask(streamed(deadline_s=0.03))
    rig.assert_nothing_left_open()


async def test_an_answer_in_one_piece_that_breaks_is_asked_for_again() -> None:
    half = FakeAnswer([b'{"half', broken()], content_type="application/json")
    rig = InferenceRig({"edge:1": lambda: half, "cloud:1": whole(b"{}")})
    assert (await rig.ask(request("tierflow-edge"))).body == b"{}"
    rig.assert_nothing_left_open()


async def test_a_first_token_timeout_without_another_endpoint_is_told() -> None:
    rig = InferenceRig(
        {"edge:1": stream(NEVER)},
        [state("edge:1")],
        timeouts=AnswerTimeouts(first_token_s=0.02, idle_s=30.0, answer_s=30.0),
    )
    with pytest.raises(FirstTokenTimeout):
        await rig.ask(streamed())
