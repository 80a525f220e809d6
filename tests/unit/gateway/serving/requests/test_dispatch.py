from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.core.retry import RetryBudget
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
    Piece,
    broken,
)
from tests.unit.gateway.rig import DONE, InferenceRig, chunk, opening, stream, streamed, whole

pytestmark = pytest.mark.anyio

EVENTS = [chunk("a"), chunk("b", "stop"), DONE]
ANSWER = b'{"choices":[{"message":{"content":"a"}}]}'
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
    budget, waits = retry_budget(ratio=0.0, reserve=1.0), AnswerTimeouts(0.02, 30.0, 30.0)
    late = {"edge:1": stream(NEVER), "cloud:1": stream(*EVENTS)}
    alone = InferenceRig(late, [state("edge:1")], budget=budget, timeouts=waits)
    with pytest.raises(FirstTokenTimeout):
        await alone.ask(streamed())
    both = InferenceRig(late, budget=budget, timeouts=waits)
    assert (await both.ask(streamed())).body == b"".join(EVENTS)
    spent = InferenceRig(late, budget=budget, timeouts=waits)
    with pytest.raises(FirstTokenTimeout):
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
    rig = InferenceRig({"edge:1": lambda: half, "cloud:1": whole(ANSWER)})
    assert (await rig.ask(request("tierflow-edge"))).body == ANSWER
    rig.assert_nothing_left_open()


async def test_a_first_token_timeout_without_another_endpoint_is_told() -> None:
    rig = InferenceRig(
        {"edge:1": stream(NEVER)},
        [state("edge:1")],
        timeouts=AnswerTimeouts(first_token_s=0.02, idle_s=30.0, answer_s=30.0),
    )
    with pytest.raises(FirstTokenTimeout):
        await rig.ask(streamed())


@pytest.mark.parametrize(
    "answer",
    [
        stream(),
        stream(b": ping\n\n"),
        stream(DONE),
        stream(opening(), DONE),
        stream(opening(), broken()),
        stream(opening() + b"data: {}\n\n", b'data: {"choices": []}\n\n', DONE),
        stream(b": ping\n\n", b'data: {"error":', b' {"code": 500}}\n\n', b"data: [DONE]\n\n"),
        whole(b""),
        whole(b"{}"),
        whole(b'{"choices": []}'),
        whole(b"<html>", 404),
        whole(b"", 401),
        whole(b"", 429),
        whole(b"", 307),
    ],
)
async def test_what_is_the_endpoints_fault_goes_elsewhere_before_anything_is_sent(
    answer: Callable[[], FakeAnswer],
) -> None:
    rig = InferenceRig({"edge:1": answer, "cloud:1": stream(*EVENTS)})
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    assert [endpoint for endpoint, _, _ in rig.server.calls] == ["edge:1", "cloud:1"]
    rig.assert_nothing_left_open()


def refusing(status: int) -> Callable[[], FakeAnswer]:
    return whole(b'{"error": {"code": %d}}' % status, status)


def refusing_first(status: int) -> Callable[[], FakeAnswer]:
    return stream(b'data: {"error": {"code": %d}}\n\n' % status, DONE)


@pytest.mark.parametrize("answer", [refusing(400), refusing_first(400)])
async def test_what_is_the_callers_fault_is_passed_on_with_its_status(
    answer: Callable[[], FakeAnswer],
) -> None:
    rig = InferenceRig({"edge:1": answer, "cloud:1": stream(*EVENTS)})
    sink = await rig.ask(streamed())
    assert (sink.status, len(rig.server.calls)) == (400, 1)
    assert b"engine_refused" in sink.body
    assert rig.telemetry.outcomes[0].kind == "client_error"
    rig.assert_nothing_left_open()


@pytest.mark.parametrize(
    "answer",
    [refusing(404), refusing(418), refusing(422), whole(b"<html>", 413), refusing_first(404)],
)
async def test_a_refusal_of_one_endpoints_alone_reaches_no_caller_and_counts_against_it(
    answer: Callable[[], FakeAnswer],
) -> None:
    rig = InferenceRig({"edge:1": answer, "cloud:1": stream(*EVENTS)})
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    assert rig.telemetry.retries == [("edge", "engine_refused")]
    assert not rig.states[0].health.sound(rig.clock.now())
    rig.assert_nothing_left_open()


LACKING = whole(b'{"detail":"Not Found"}', 404)


async def test_a_route_that_one_pool_lacks_is_looked_for_in_another_and_nobody_is_blamed() -> None:
    states = [state(f"edge:{number}") for number in (1, 2, 3)] + [state("cloud:1", "cloud")]
    lacking = {f"edge:{number}": LACKING for number in (1, 2, 3)}
    rig = InferenceRig({**lacking, "cloud:1": stream(*EVENTS)}, states)
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    assert len(rig.server.calls) == 3, "two of a pool are enough"
    assert all(each.health.sound(rig.clock.now()) for each in rig.states)
    rig.assert_nothing_left_open()


async def test_a_route_that_one_endpoint_of_a_pool_lacks_is_that_endpoints_fault() -> None:
    states = [state("edge:1"), state("edge:2")]
    rig = InferenceRig({"edge:1": LACKING, "edge:2": stream(*EVENTS)}, states)
    for _ in range(20):
        assert (await rig.ask(streamed("rill-edge"))).body == b"".join(EVENTS)
    assert "edge:1" in {endpoint for endpoint, *_ in rig.server.calls}
    assert not states[0].health.sound(rig.clock.now())


async def test_a_route_that_nobody_has_costs_no_retries_of_others() -> None:
    budget = RetryBudget(ratio=0.0, max_attempts=3)
    rig = InferenceRig({"edge:1": LACKING, "cloud:1": LACKING}, budget=budget)
    for _ in range(30):
        sink = await rig.ask(streamed())
        assert (sink.status, orjson.loads(sink.body)["error"]["code"]) == (404, "route_not_served")
    assert budget.allow_retry(1)
    assert all(each.health.sound(rig.clock.now()) for each in rig.states)
    rig.assert_nothing_left_open()


async def test_an_engine_that_fails_is_not_taken_for_one_without_the_route() -> None:
    rig = InferenceRig({"edge:1": LACKING, "cloud:1": whole(b"", 500)})
    with pytest.raises(EngineFailed):
        await rig.ask(streamed())


@pytest.mark.parametrize(
    ("second", "told"),
    [(refusing(422), 422), (refusing(400), 400), (whole(b"", 500), 422), (whole(b"", 429), 422)],
)
async def test_a_refusal_gets_one_second_opinion_and_blames_nobody_where_it_is_the_callers(
    second: Callable[[], FakeAnswer], told: int
) -> None:
    places = [state("edge:1"), state("cloud:1", "cloud"), state("cloud:2", "cloud")]
    scripts = {"edge:1": refusing(422), "cloud:1": second, "cloud:2": second}
    rig = InferenceRig(scripts, places)
    sink = await rig.ask(streamed())
    assert (sink.status, len(rig.server.calls)) == (told, 2)
    assert b"engine_refused" in sink.body
    assert places[0].health.sound(rig.clock.now())
    assert rig.telemetry.outcomes[0].kind == "client_error"
    rig.assert_nothing_left_open()


async def test_a_refusal_is_told_at_once_where_nobody_else_can_be_asked() -> None:
    for places in ([state("edge:1")], [state("edge:1"), state("cloud:1", "cloud")]):
        rig = InferenceRig({"edge:1": refusing(422)}, places)
        sink = await rig.ask(streamed())
        assert (sink.status, rig.telemetry.outcomes[0].endpoint) == (422, "edge:1")
        assert places[0].health.sound(rig.clock.now())
        rig.assert_nothing_left_open()


async def test_second_opinions_that_agree_are_charged_to_the_retry_budget() -> None:
    budget = retry_budget(ratio=0.0, reserve=2.0)
    rig = InferenceRig({"edge:1": refusing(422), "cloud:1": refusing(422)}, budget=budget)
    for _ in range(5):
        assert (await rig.ask(streamed())).status == 422
    assert len(rig.server.calls) == 5 + 2


async def test_good_events_before_an_error_are_delivered_where_no_endpoint_does_better() -> None:
    begun = stream(EVENTS[0] + b'data: {"error": {"code": 500}}\n\n')
    rig = InferenceRig({"edge:1": begun, "cloud:1": begun})
    sink = await rig.ask(streamed())
    assert len(rig.server.calls) == 2
    assert sink.body == EVENTS[0] and sink.failure is not None
    assert sink.failure.code == "error_event"
    assert rig.telemetry.outcomes[0].endpoint == "edge:1"
    rig.assert_nothing_left_open()


@pytest.mark.parametrize("tail", [[NEVER], [broken()], []])
async def test_a_response_that_has_only_been_opened_is_made_anew_elsewhere(
    tail: list[Piece],
) -> None:
    created = b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n'
    said = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n'
    end = b'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n'
    rig = InferenceRig(
        {"edge:1": stream(created, *tail), "cloud:1": stream(created, said, end)},
        timeouts=AnswerTimeouts(first_token_s=0.02, idle_s=30.0, answer_s=30.0),
    )
    sink = await rig.ask(streamed(path="/v1/responses"))
    assert (sink.body, sink.failure) == (created + said + end, None)
    rig.assert_nothing_left_open()


async def test_what_says_nothing_without_end_is_no_answer() -> None:
    rig = InferenceRig({"edge:1": stream(*[opening() * 4096] * 40), "cloud:1": stream(*EVENTS)})
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)


async def test_comments_before_the_first_event_are_passed_on_with_it() -> None:
    pieces = [b": ping\n\n", *EVENTS]
    rig = InferenceRig({"edge:1": stream(*pieces)})
    assert (await rig.ask(streamed())).body == b"".join(pieces)


async def test_a_silent_endpoint_is_left_after_what_is_usual_there() -> None:
    silent, well = state("edge:1"), state("cloud:1", "cloud")
    for _ in range(8):
        silent.usual.first_token_seen(0, 0.001)
    rig = InferenceRig(
        {"edge:1": stream(NEVER), "cloud:1": stream(*EVENTS)},
        [silent, well],
        clock=MonotonicClock(),
        timeouts_more={"usual_floor_s": 0.02},
    )
    assert (await rig.ask(streamed())).body == b"".join(EVENTS)
    assert rig.telemetry.retries == [("edge", "endpoint_silent")]
    rig.assert_nothing_left_open()


@pytest.mark.parametrize(("counts_tokens", "left"), [(True, True), (False, False)])
async def test_an_answer_in_one_piece_leaves_only_an_engine_that_is_known_to_be_idle(
    counts_tokens: bool, left: bool
) -> None:
    silent, well = state("edge:1"), state("cloud:1", "cloud")
    silent.counts_tokens = counts_tokens
    for _ in range(8):
        silent.usual.answer_seen(0, 0.001)
    rig = InferenceRig(
        {"edge:1": lambda: FakeAnswer([NEVER]), "cloud:1": whole(ANSWER)},
        [silent, well],
        clock=MonotonicClock(),
        timeouts=AnswerTimeouts(30.0, 30.0, 0.1),
        timeouts_more={"usual_floor_s": 0.02},
    )
    assert (await rig.ask(request("tierflow-edge"))).body == ANSWER
    cause = "endpoint_silent" if left else "first_token_timeout"
    assert rig.telemetry.retries == [("edge", cause)]


async def test_where_nothing_else_can_answer_a_silent_endpoint_has_the_time_that_is_set() -> None:
    silent = state("edge:1")
    for _ in range(8):
        silent.usual.first_token_seen(0, 0.001)
    rig = InferenceRig(
        {"edge:1": stream(NEVER)},
        [silent],
        clock=MonotonicClock(),
        timeouts=AnswerTimeouts(0.08, 30.0, 30.0),
        timeouts_more={"usual_floor_s": 0.01},
    )
    with pytest.raises(FirstTokenTimeout):
        await rig.ask(streamed())
    assert rig.telemetry.retries == []


async def test_a_request_that_waits_at_an_endpoint_that_goes_down_is_moved() -> None:
    states = [state("edge:1"), state("cloud:1", "cloud")]
    rig = InferenceRig({"edge:1": stream(NEVER), "cloud:1": stream(*EVENTS)}, states)
    waiting = asyncio.ensure_future(rig.ask(streamed()))
    while not states[0].waits:
        await asyncio.sleep(0)
    states[0].healthy = False
    states[0].lost()
    assert (await waiting).body == b"".join(EVENTS)
    assert rig.telemetry.retries == [("edge", "endpoint_down")]
    rig.assert_nothing_left_open()


async def test_a_request_without_another_endpoint_goes_on_waiting() -> None:
    only, come = state("edge:1"), asyncio.Event()
    rig = InferenceRig({"edge:1": lambda: LateAnswer(come)}, [only])
    waiting = asyncio.ensure_future(rig.ask(streamed()))
    while not only.waits:
        await asyncio.sleep(0)
    only.lost()
    come.set()
    assert (await waiting).body == b"".join(EVENTS)


class LateAnswer(FakeAnswer):
    """The answer comes when the test says so."""

    def __init__(self, come: asyncio.Event) -> None:
        super().__init__(EVENTS)
        self._come = come

    async def read(self) -> bytes:
        await self._come.wait()
        return await super().read()
