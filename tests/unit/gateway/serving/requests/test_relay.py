from __future__ import annotations

import asyncio

import pytest

from gateway.errors import GatewayError, InvalidRequest
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.relay import PIECE_BYTES
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import (
    COMMENT,
    CommentingAnswer,
    ListSink,
    Piece,
    broken,
)
from tests.unit.gateway.rig import DONE, InferenceRig, chunk, stream, streamed, whole

pytestmark = pytest.mark.anyio

EVENTS = [chunk("a"), chunk("b", "stop"), DONE]
NEVER = None
IMPATIENT = AnswerTimeouts(first_token_s=30.0, idle_s=0.02, answer_s=30.0)
ERROR = b'data: {"error":{"message":"secret","code":500}}\n\n'
ABORT = b'data: {"choices":[{"finish_reason":"abort"}]}\n\n'
GARBAGE = b"data: {half\n\n"


async def test_a_stream_is_relayed_byte_for_byte() -> None:
    rig = InferenceRig({"edge:1": stream(*EVENTS)})
    sink = await rig.ask(streamed())
    assert sink.body == b"".join(EVENTS)
    assert sink.ended and sink.failure is None
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.kind, outcome.tier, outcome.completion_tokens) == ("ok", "edge", 2)
    rig.assert_nothing_left_open()


async def test_a_request_with_a_fault_is_refused_before_any_work_and_reported() -> None:
    rig = InferenceRig({"edge:1": stream(*EVENTS)})
    fault = InvalidRequest("n: expected a whole number", param="n", code="invalid_value")
    with pytest.raises(InvalidRequest):
        await rig.ask(request(fault=fault))
    assert [outcome.kind for outcome in rig.telemetry.outcomes] == ["invalid_value"]
    assert not rig.server.calls and not rig.telemetry.loads


async def test_events_cut_anywhere_arrive_whole() -> None:
    data = b"".join(EVENTS)
    rig = InferenceRig({"edge:1": stream(data[:7], data[7:20], data[20:])})
    sink = await rig.ask(streamed())
    assert sink.body == data
    assert all(piece.endswith(b"\n\n") for piece in sink.sent if piece)


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        ([broken()], "engine_disconnected"),
        ([], "engine_disconnected"),
        ([NEVER], "idle_timeout"),
    ],
)
async def test_a_stream_that_breaks_ends_with_one_clean_error(tail: list[Piece], code: str) -> None:
    rig = InferenceRig(
        {"edge:1": stream(EVENTS[0], b'data: {"half', *tail), "cloud:1": stream(*EVENTS)},
        timeouts=IMPATIENT,
    )
    sink = await rig.ask(streamed())
    assert sink.body == EVENTS[0]
    assert sink.failure is not None and sink.failure.code == code
    assert rig.telemetry.outcomes[0].kind == code
    assert len(rig.server.calls) == 1
    rig.assert_nothing_left_open()


async def test_an_engines_own_complaint_passes_through_with_our_code() -> None:
    said = b'{"error":{"message":"too long","type":"x","param":"body.max_tokens","code":400}}'
    rig = InferenceRig({"edge:1": whole(said, 400)})
    sink = await rig.ask(streamed())
    told = (
        b'{"error":{"message":"too long","type":"x","param":"max_tokens","code":"engine_refused"}}'
    )
    assert (sink.status, sink.body) == (400, told)
    assert rig.telemetry.outcomes[0].kind == "client_error"


async def test_an_answer_in_one_piece_brings_its_usage_figures() -> None:
    body = b'{"choices":[{}],"usage":{"prompt_tokens":9,"completion_tokens":4}}'
    rig = InferenceRig({"edge:1": whole(body)})
    assert (await rig.ask(request("tierflow-edge"))).body == body
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (9, 4)


async def test_leaving_makes_the_engine_stop_before_the_first_token_too() -> None:
    for script in (stream(NEVER), stream(EVENTS[0], NEVER)):
        rig = InferenceRig({"edge:1": script})
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

    rig = InferenceRig(
        {"edge:1": stream(*EVENTS)},
        timeouts=IMPATIENT,
    )
    with pytest.raises(GatewayError):
        await rig.ask(streamed(), ListSink(on_send=stuck))
    assert rig.telemetry.outcomes[0].kind == "client_stalled"
    rig.assert_nothing_left_open()


async def test_streams_teach_how_fast_an_endpoint_decodes() -> None:
    pieces = [chunk(str(i)) for i in range(20)]
    rig = InferenceRig({"edge:1": stream(*pieces, *EVENTS[1:])})
    await rig.ask(streamed())
    assert rig.states[0].decode_s_per_token.mean is not None
    assert len(rig.telemetry.gaps) == 21


@pytest.mark.parametrize(
    ("broken_event", "code"),
    [(ERROR, "error_event"), (ABORT, "engine_aborted"), (GARBAGE, "unreadable_answer")],
)
async def test_an_event_that_says_the_answer_failed_is_not_relayed(
    broken_event: bytes, code: str
) -> None:
    rig = InferenceRig({"edge:1": stream(EVENTS[0], EVENTS[1] + broken_event, EVENTS[-1])})
    sink = await rig.ask(streamed())
    assert sink.body == EVENTS[0] + EVENTS[1]
    assert sink.failure is not None and sink.failure.code == code
    assert "secret" not in sink.failure.message
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.kind, outcome.status, outcome.completion_tokens) == (code, 200, 2)
    rig.assert_nothing_left_open()


@pytest.mark.parametrize("first", [ERROR, ABORT, GARBAGE, EVENTS[0] + ERROR, EVENTS[-1], b""])
async def test_a_first_event_that_is_broken_is_the_attempts_failure(first: bytes) -> None:
    rig = InferenceRig({"edge:1": stream(b": hello\n\n", first), "cloud:1": stream(*EVENTS)})
    sink = await rig.ask(streamed())
    assert (sink.body, sink.failure) == (b"".join(EVENTS), None)
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.kind, outcome.tier, outcome.attempts) == ("ok", "cloud", 2)
    rig.assert_nothing_left_open()


@pytest.mark.parametrize("late", [[NEVER], [ERROR], [broken()], [b": " + b"x" * 90 + b"\n\n"]])
@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", b"data: [DONE]"])
async def test_an_answer_is_over_at_done(late: list[Piece], done: bytes) -> None:
    rig = InferenceRig({"edge:1": stream(*EVENTS[:-1], done, *late)})
    sink = await rig.ask(streamed())
    assert sink.body == b"".join(EVENTS)
    assert sink.ended and sink.failure is None
    assert rig.telemetry.outcomes[0].kind == "ok"
    assert rig.server.answers[0].drained
    rig.assert_nothing_left_open()


async def test_comments_are_relayed_and_are_no_progress() -> None:
    rig = InferenceRig({"edge:1": lambda: CommentingAnswer([EVENTS[0]])}, timeouts=IMPATIENT)
    sink = await rig.ask(streamed())
    assert sink.body.startswith(EVENTS[0] + COMMENT)
    assert sink.failure is not None and sink.failure.code == "idle_timeout"
    assert rig.telemetry.outcomes[0].kind == "idle_timeout"


async def test_comments_are_no_first_token() -> None:
    rig = InferenceRig(
        {"edge:1": lambda: CommentingAnswer([]), "cloud:1": stream(*EVENTS)},
        timeouts=AnswerTimeouts(first_token_s=0.02, idle_s=30.0, answer_s=30.0),
    )
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)


async def test_a_response_that_ends_without_its_last_event_has_failed() -> None:
    created = b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n'
    said = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n'
    end = b'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n'
    for events, kind in (([created, end, NEVER], "ok"), ([created, said], "engine_disconnected")):
        rig = InferenceRig({"edge:1": stream(*events)})
        sink = await rig.ask(streamed(path="/v1/responses"))
        assert rig.telemetry.outcomes[0].kind == kind
        assert (sink.failure is None) is (kind == "ok")


async def test_a_caller_that_reads_nothing_is_not_waited_for_to_tell_it_of_a_failure() -> None:
    class StuckSink(ListSink):
        async def fail(self, error: GatewayError) -> None:
            await asyncio.Event().wait()

    rig = InferenceRig({"edge:1": stream(EVENTS[0], ERROR)}, timeouts=IMPATIENT)
    with pytest.raises(GatewayError):
        await rig.ask(streamed(), StuckSink())
    rig.assert_nothing_left_open()


async def test_a_large_answer_in_one_piece_waits_for_a_slow_reader() -> None:
    async def slowly() -> None:
        await asyncio.sleep(0.015)

    body = b'{"choices":[' + b"x" * (3 * PIECE_BYTES) + b"]}"
    rig = InferenceRig({"edge:1": whole(body)}, timeouts=IMPATIENT)
    sink = await rig.ask(request("tierflow-edge"), ListSink(on_send=slowly))
    assert (sink.body, sink.ended, len(sink.sent)) == (body, True, 4)


async def test_a_caller_that_stops_reading_an_answer_in_one_piece_holds_no_engine() -> None:
    async def stuck() -> None:
        assert rig.states[0].in_flight == 0, "the engine has done its work"
        await asyncio.Event().wait()

    rig = InferenceRig({"edge:1": whole(b'{"choices":[{}]}')}, timeouts=IMPATIENT)
    with pytest.raises(GatewayError):
        await rig.ask(request("tierflow-edge"), ListSink(on_send=stuck))
    assert rig.telemetry.outcomes[0].kind == "client_stalled"
    rig.assert_nothing_left_open()


async def test_usage_that_much_follows_is_counted() -> None:
    body = (
        b'{"choices":[{}],"usage":{"prompt_tokens":9,"completion_tokens":4},"prompt_logprobs":['
        + b"null," * 9000
    )
    rig = InferenceRig({"edge:1": whole(body + b"null]}")})
    await rig.ask(request("tierflow-edge"))
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (9, 4)
