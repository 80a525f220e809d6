from __future__ import annotations

import asyncio

import pytest

from gateway.core.retry import RetryBudget
from gateway.errors import (
    ConnectFailed,
    DeadlineExceeded,
    EngineFailed,
    FirstTokenTimeout,
    GatewayError,
)
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from tests.unit.gateway.build import request, state
from tests.unit.gateway.fakes import (
    FakeAnswer,
    ListSink,
    Piece,
    broken,
)
from tests.unit.gateway.serving.answering import Rig, stream, streamed, whole

pytestmark = pytest.mark.anyio

EVENTS = [b'data: {"a":1}\n\n', b'data: {"a":2}\n\n', b"data: [DONE]\n\n"]
NEVER = None


async def test_a_stream_is_relayed_byte_for_byte() -> None:
    rig = Rig({"edge:1": stream(*EVENTS)})
    sink = await rig.ask(streamed())
    assert sink.body == b"".join(EVENTS)
    assert sink.ended and sink.failure is None
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.kind, outcome.tier, outcome.completion_tokens) == ("ok", "edge", 2)
    rig.assert_nothing_left_open()


async def test_events_cut_anywhere_arrive_whole() -> None:
    data = b"".join(EVENTS)
    rig = Rig({"edge:1": stream(data[:7], data[7:20], data[20:])})
    sink = await rig.ask(streamed())
    assert sink.body == data
    assert all(piece.endswith(b"\n\n") for piece in sink.sent if piece)


async def test_the_engine_gets_the_served_name_for_a_virtual_model() -> None:
    rig = Rig({"edge:1": stream(*EVENTS)})
    await rig.ask(streamed(body=b'{"x":1.00, "model":"tierflow-edge"}'))
    assert rig.server.calls[0][2] == b'{"x":1.00, "model":"rill-edge"}'


async def test_an_engine_that_cannot_be_reached_is_taken_out_and_another_answers() -> None:
    rig = Rig({"cloud:1": stream(*EVENTS)})
    sink = await rig.ask(streamed())
    assert sink.body == b"".join(EVENTS)
    assert rig.endpoints.failed == ["edge:1"]
    assert rig.telemetry.retries == [("edge", "connect_failed")]
    assert rig.telemetry.outcomes[0].reason == "retry"
    rig.assert_nothing_left_open()


async def test_a_server_error_before_the_first_byte_goes_elsewhere() -> None:
    rig = Rig({"edge:1": whole(b"secret prompt", 500), "cloud:1": stream(*EVENTS)})
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    rig.assert_nothing_left_open()


async def test_a_retry_that_cannot_be_made_is_not_charged() -> None:
    budget = RetryBudget(ratio=0.0, reserve=1.0)
    alone = Rig({"edge:1": whole(b"", 500)}, [state("edge:1")], budget=budget)
    with pytest.raises(EngineFailed):
        await alone.ask(streamed())
    both = Rig({"edge:1": whole(b"", 500), "cloud:1": stream(*EVENTS)}, budget=budget)
    assert (await both.ask(streamed())).body == b"".join(EVENTS)
    spent = Rig({"edge:1": whole(b"", 500), "cloud:1": stream(*EVENTS)}, budget=budget)
    with pytest.raises(EngineFailed):
        await spent.ask(streamed())


async def test_with_nowhere_else_to_go_the_failure_itself_is_told() -> None:
    rig = Rig({"edge:1": whole(b"secret prompt", 500)}, [state("edge:1")])
    with pytest.raises(EngineFailed, match="edge:1 answered /v1/chat/completions with status 500"):
        await rig.ask(streamed())
    assert rig.telemetry.outcomes[0].kind == "engine_error"
    assert rig.telemetry.retries == []
    rig.assert_nothing_left_open()


async def test_an_engine_that_never_begins_is_given_up_for_another() -> None:
    rig = Rig(
        {"edge:1": stream(NEVER), "cloud:1": stream(*EVENTS)},
        timeouts=AnswerTimeouts(first_token_s=0.02, idle_s=30.0, answer_s=30.0),
    )
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    assert rig.telemetry.retries == [("edge", "first_token_timeout")]
    rig.assert_nothing_left_open()


async def test_the_attempts_of_one_request_are_bounded() -> None:
    states = [state(f"edge:{i}") for i in range(6)]
    failing = {s.endpoint.id: whole(b"", 500) for s in states}
    rig = Rig(failing, states, budget=RetryBudget(max_attempts=3))
    with pytest.raises(EngineFailed):
        await rig.ask(streamed())
    assert len(rig.server.calls) == 3
    assert len(rig.telemetry.retries) == 2
    rig.assert_nothing_left_open()


async def test_a_dead_pool_of_any_size_never_hides_a_healthy_one() -> None:
    states = [*(state(f"edge:{i}") for i in range(6)), state("cloud:1", "cloud")]
    rig = Rig({"cloud:1": stream(*EVENTS)}, states, budget=RetryBudget(reserve=0.0))
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    rig.assert_nothing_left_open()


async def test_when_no_endpoint_can_be_reached_that_is_told() -> None:
    rig = Rig({})
    with pytest.raises(ConnectFailed):
        await rig.ask(streamed())
    assert rig.endpoints.failed == ["edge:1", "cloud:1"]


async def test_the_callers_deadline_ends_the_wait() -> None:
    rig = Rig({"edge:1": stream(NEVER)})
    with pytest.raises(DeadlineExceeded):
        await rig.ask(streamed(deadline_s=0.03))
    rig.assert_nothing_left_open()


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        ([broken()], "engine_disconnected"),
        ([], "engine_disconnected"),
        ([NEVER], "idle_timeout"),
    ],
)
async def test_a_stream_that_breaks_ends_with_one_clean_error(tail: list[Piece], code: str) -> None:
    rig = Rig(
        {"edge:1": stream(EVENTS[0], b'data: {"half', *tail), "cloud:1": stream(*EVENTS)},
        timeouts=AnswerTimeouts(first_token_s=30.0, idle_s=0.02, answer_s=30.0),
    )
    sink = await rig.ask(streamed())
    assert sink.body == EVENTS[0]
    assert sink.failure is not None and sink.failure.code == code
    assert rig.telemetry.outcomes[0].kind == code
    assert len(rig.server.calls) == 1
    rig.assert_nothing_left_open()


async def test_an_engines_own_complaint_passes_through() -> None:
    rig = Rig({"edge:1": whole(b'{"error":{"message":"too long"}}', 400)})
    sink = await rig.ask(streamed())
    assert (sink.status, sink.body) == (400, b'{"error":{"message":"too long"}}')
    assert rig.telemetry.outcomes[0].kind == "client_error"


async def test_an_answer_in_one_piece_brings_its_usage_figures() -> None:
    body = b'{"usage":{"prompt_tokens":9,"completion_tokens":4}}'
    rig = Rig({"edge:1": whole(body)})
    assert (await rig.ask(request("tierflow-edge"))).body == body
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (9, 4)


async def test_an_answer_in_one_piece_that_breaks_is_asked_for_again() -> None:
    half = FakeAnswer([b'{"half', broken()], content_type="application/json")
    rig = Rig({"edge:1": lambda: half, "cloud:1": whole(b"{}")})
    assert (await rig.ask(request("tierflow-edge"))).body == b"{}"
    rig.assert_nothing_left_open()


async def test_leaving_makes_the_engine_stop_before_the_first_token_too() -> None:
    for script in (stream(NEVER), stream(EVENTS[0], NEVER)):
        rig = Rig({"edge:1": script})
        task = asyncio.create_task(rig.ask(streamed()))
        while not rig.server.answers:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert rig.telemetry.outcomes[0].kind == "cancelled"
        rig.assert_nothing_left_open()


async def test_a_client_that_stops_reading_does_not_hold_the_engine() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    rig = Rig(
        {"edge:1": stream(*EVENTS)},
        timeouts=AnswerTimeouts(first_token_s=30.0, idle_s=0.02, answer_s=30.0),
    )
    with pytest.raises(GatewayError):
        await rig.ask(streamed(), ListSink(on_send=stuck))
    assert rig.telemetry.outcomes[0].kind == "client_stalled"
    rig.assert_nothing_left_open()


async def test_streams_teach_how_fast_an_endpoint_decodes() -> None:
    pieces = [b'data: {"a":%d}\n\n' % i for i in range(20)]
    rig = Rig({"edge:1": stream(*pieces, EVENTS[-1])})
    await rig.ask(streamed())
    assert rig.states[0].decode_s_per_token.mean is not None
    assert len(rig.telemetry.gaps) == 20


async def test_a_first_token_timeout_without_another_endpoint_is_told() -> None:
    rig = Rig(
        {"edge:1": stream(NEVER)},
        [state("edge:1")],
        timeouts=AnswerTimeouts(first_token_s=0.02, idle_s=30.0, answer_s=30.0),
    )
    with pytest.raises(FirstTokenTimeout):
        await rig.ask(streamed())
