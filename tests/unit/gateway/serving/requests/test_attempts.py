from __future__ import annotations

import pytest

from gateway.core.outcome import Outcome
from gateway.core.retry import RetryBudget
from gateway.core.routing.routing import Choice
from gateway.core.types import EndpointState
from gateway.core.upstream_errors import (
    bad_status,
    connect_failed,
    connect_timeout,
    endpoint_down,
    endpoint_silent,
    engine_busy,
    first_token_timeout,
    stale_connection,
)
from gateway.errors import (
    ConnectFailed,
    EngineFailed,
    FirstTokenTimeout,
    InvalidRequest,
    UpstreamError,
)
from gateway.serving.requests.attempts import note_attempt
from tests.unit.gateway.build import request, retry_budget, state
from tests.unit.gateway.fakes import (
    FakeAnswer,
    FakeEndpoints,
    Recorder,
    StoppedClock,
    failover,
)


class TwoEndpoints:
    """Attempts at two endpoints."""

    def __init__(self, budget: RetryBudget | None = None) -> None:
        self.clock = StoppedClock()
        self.states = [state("edge:1"), state("edge:2")]
        self.endpoints = FakeEndpoints(self.states)
        self.telemetry = Recorder()
        self.failover = failover(self.endpoints, self.telemetry, budget, clock=self.clock)
        self.attempts = self.failover.attempts("one")

    def fail(self, at: int, error: UpstreamError) -> None:
        with self.attempts.at(chosen(self.states[at])):
            raise error

    def succeed(self, at: int) -> None:
        with self.attempts.at(chosen(self.states[at])):
            pass

    def next_request(self, caller: str = "one") -> None:
        self.attempts = self.failover.attempts(caller)


def chosen(at: EndpointState) -> Choice:
    return Choice(at, "rill-edge", "only")


def refused_connection(endpoint: str) -> ConnectFailed:
    return connect_failed(endpoint)


def broke(endpoint: str) -> EngineFailed:
    return EngineFailed("broke", endpoint=endpoint, code="engine_error")


def test_a_place_is_counted_while_the_block_runs() -> None:
    rig = TwoEndpoints()
    with rig.attempts.at(chosen(rig.states[0])) as slot:
        answer = slot.answer = FakeAnswer([])
        assert rig.states[0].in_flight == 1
    assert rig.states[0].in_flight == 0
    assert answer.closed


def test_a_place_that_is_kept_lasts_until_it_is_released() -> None:
    rig = TwoEndpoints()
    with rig.attempts.at(chosen(rig.states[0])) as slot:
        answer = slot.answer = FakeAnswer([])
        slot.keep()
    assert rig.states[0].in_flight == 1 and not answer.closed
    slot.release()
    assert rig.states[0].in_flight == 0 and answer.closed


def test_a_failure_before_the_answer_began_leads_to_another_attempt() -> None:
    rig = TwoEndpoints()
    rig.fail(0, broke("edge:1"))
    assert rig.attempts.failed_ids == {"edge:1"}
    assert rig.endpoints.failed == []
    assert rig.telemetry.retries == []
    rig.attempts.at(chosen(rig.states[1]))
    assert rig.telemetry.retries == [("edge", "engine_error")]


def test_a_failure_after_the_answer_began_is_the_requests_own_end() -> None:
    rig = TwoEndpoints()
    with (
        pytest.raises(EngineFailed),
        rig.attempts.at(chosen(rig.states[0])) as slot,
    ):
        slot.begun = True
        raise broke("edge:1")
    assert rig.attempts.failure is None
    assert rig.states[0].in_flight == 0


def broken_answer(rig: TwoEndpoints, at: int) -> None:
    with rig.attempts.at(chosen(rig.states[at])) as slot:
        slot.begun = slot.resumable = True
        raise broke(rig.states[at].endpoint.id)


def test_an_answer_that_can_go_on_elsewhere_is_left_for_another_endpoint_at_no_charge() -> None:
    rig = TwoEndpoints(retry_budget(ratio=0.0, reserve=0.0))
    broken_answer(rig, 0)
    assert rig.attempts.failed_ids == {"edge:1"}
    rig.succeed(1)
    assert rig.telemetry.retries == [("edge", "engine_error")]


def test_an_endpoint_that_failed_before_another_one_answered_may_be_tried_again() -> None:
    rig = TwoEndpoints()
    rig.fail(0, broke("edge:1"))
    broken_answer(rig, 1)
    assert rig.attempts.failed_ids == {"edge:2"}


def test_how_often_an_answer_goes_on_is_bounded() -> None:
    rig = TwoEndpoints(retry_budget(max_attempts=2))
    broken_answer(rig, 0)
    broken_answer(rig, 1)
    with pytest.raises(EngineFailed):
        rig.attempts.at(chosen(rig.states[0]))


def test_an_error_of_the_callers_is_not_retried() -> None:
    rig = TwoEndpoints()
    with pytest.raises(InvalidRequest), rig.attempts.at(chosen(rig.states[0])):
        raise InvalidRequest("no", code="invalid_value")
    assert rig.states[0].in_flight == 0


def test_a_refused_connection_takes_the_endpoint_out_and_costs_no_budget() -> None:
    rig = TwoEndpoints(retry_budget(ratio=0.0, reserve=0.0))
    rig.fail(0, refused_connection("edge:1"))
    assert rig.endpoints.failed == ["edge:1"]
    rig.attempts.at(chosen(rig.states[1]))
    assert rig.telemetry.retries == [("edge", "connect_failed")]


def test_without_budget_the_last_failure_is_raised() -> None:
    rig = TwoEndpoints(retry_budget(ratio=0.0, reserve=0.0))
    rig.fail(0, first_token_timeout("edge:1", 9.0))
    with pytest.raises(FirstTokenTimeout):
        rig.attempts.at(chosen(rig.states[1]))
    assert rig.states[1].in_flight == 0
    assert rig.telemetry.retries == []


def test_attempts_that_reached_an_engine_are_bounded() -> None:
    rig = TwoEndpoints(retry_budget(max_attempts=2))
    rig.fail(0, broke("edge:1"))
    rig.fail(1, refused_connection("edge:2"))
    rig.fail(0, broke("edge:1"))
    with pytest.raises(EngineFailed):
        rig.attempts.at(chosen(rig.states[1]))


def test_the_last_failure_is_raised_only_if_there_is_one() -> None:
    rig = TwoEndpoints()
    rig.attempts.raise_failure()
    rig.fail(0, broke("edge:1"))
    with pytest.raises(EngineFailed, match="broke"):
        rig.attempts.raise_failure()


def test_an_attempt_is_noted_in_the_outcome() -> None:
    outcome = Outcome(request=request())
    note_attempt(outcome, chosen(state("edge:1")), 3.0)
    note_attempt(outcome, chosen(state("edge:2")), 5.0)
    assert (outcome.attempts, outcome.opened, outcome.endpoint) == (2, 5.0, "edge:2")
    assert (outcome.model, outcome.tier, outcome.reason) == ("rill-edge", "edge", "only")


PATH = "/v1/chat/completions"


def test_a_failure_that_another_request_would_have_had_counts_at_once() -> None:
    rig = TwoEndpoints()
    for _ in range(3):
        rig.next_request()
        rig.fail(0, bad_status("edge:1", PATH, 503, certain=True))
    assert rig.telemetry.ejected == [("edge:1", "engine_error")]
    assert rig.states[0].health.ejected


def test_a_failure_counts_against_the_endpoint_once_another_answers_the_same_request() -> None:
    rig = TwoEndpoints()
    for _ in range(3):
        rig.next_request()
        rig.fail(0, bad_status("edge:1", PATH, 500))
        assert not rig.states[0].health.ejected
        rig.succeed(1)
    assert rig.telemetry.ejected == [("edge:1", "engine_error")]


def test_a_request_that_fails_everywhere_counts_against_no_endpoint() -> None:
    rig = TwoEndpoints()
    for number in range(20):
        rig.next_request(f"caller {number}")
        rig.fail(0, bad_status("edge:1", PATH, 500))
        rig.fail(1, bad_status("edge:2", PATH, 500))
        with pytest.raises(EngineFailed):
            rig.attempts.raise_failure()
    assert rig.telemetry.ejected == []
    assert all(state.health.sound(rig.clock.now()) for state in rig.states)


def test_a_failure_without_another_endpoint_to_ask_counts_against_the_one_there_is() -> None:
    rig = TwoEndpoints()
    for _ in range(3):
        rig.next_request()
        rig.fail(0, broke("edge:1"))
        with pytest.raises(EngineFailed):
            rig.attempts.raise_failure()
    assert rig.telemetry.ejected == [("edge:1", "engine_error")]


def test_going_from_one_that_fails_at_once_to_one_that_is_sound_is_not_charged() -> None:
    rig = TwoEndpoints(retry_budget(ratio=0.0, reserve=0.0))
    for _ in range(200):
        rig.next_request()
        rig.fail(0, bad_status("edge:1", PATH, 503, certain=True))
        rig.succeed(1)
    assert len(rig.telemetry.retries) == 200


def test_a_retry_at_an_endpoint_that_fails_itself_is_charged() -> None:
    rig = TwoEndpoints(retry_budget(ratio=0.0, reserve=1.0))
    for each in rig.states:
        each.health.fail(False, rig.failover.ejection, "engine_error", 0.0, lambda: 0.0)
    rig.fail(0, broke("edge:1"))
    rig.fail(1, broke("edge:2"))
    rig.next_request()
    rig.fail(0, broke("edge:1"))
    with pytest.raises(EngineFailed):
        rig.attempts.at(chosen(rig.states[1]))


def test_an_engine_that_says_that_it_is_busy_is_left_alone_and_not_ejected() -> None:
    rig = TwoEndpoints()
    for _ in range(5):
        rig.next_request()
        rig.fail(0, engine_busy("edge:1", 7.0))
    health = rig.states[0].health
    assert not health.ejected and not health.admits(rig.clock.now())
    rig.clock.time += 7.1
    assert health.admits(rig.clock.now())


def test_a_stale_connection_is_tried_again_at_the_same_endpoint_and_is_counted() -> None:
    rig = TwoEndpoints(retry_budget(ratio=0.0, reserve=0.0, max_attempts=1))
    rig.fail(0, stale_connection("edge:1"))
    assert rig.attempts.failed_ids == set()
    rig.succeed(0)
    assert rig.telemetry.retries == [("edge", "stale_connection")]
    assert rig.states[0].health.sound(rig.clock.now())
    rig.next_request()
    rig.fail(0, stale_connection("edge:1"))
    rig.fail(0, stale_connection("edge:1"))
    assert rig.attempts.failed_ids == {"edge:1"}


def test_one_late_connection_is_no_proof_that_an_endpoint_is_gone() -> None:
    rig = TwoEndpoints()
    rig.fail(0, connect_timeout("edge:1", 2.0))
    assert rig.endpoints.failed == []
    assert rig.states[0].health.admits(rig.clock.now())
    assert rig.attempts.failed_ids == {"edge:1"}


def test_a_request_is_moved_for_silence_once() -> None:
    rig = TwoEndpoints()
    rig.fail(0, endpoint_down("edge:1"))
    assert not rig.attempts.moved
    rig.fail(1, endpoint_silent("edge:2", 3.0))
    assert rig.attempts.moved
    rig.attempts.succeeded()
    assert rig.states[0].health.sound(rig.clock.now())
    assert not rig.states[1].health.sound(rig.clock.now())


def test_requests_that_wait_at_an_endpoint_are_told_when_it_is_ejected() -> None:
    rig = TwoEndpoints()
    told: list[str] = []
    rig.states[0].waits.add(lambda: told.append("edge:1"))
    for _ in range(3):
        rig.next_request()
        rig.fail(0, bad_status("edge:1", PATH, 503, certain=True))
    assert told == ["edge:1"]


def test_one_request_at_a_time_tries_an_endpoint_after_its_pause() -> None:
    rig = TwoEndpoints()
    for _ in range(3):
        rig.next_request()
        rig.fail(0, bad_status("edge:1", PATH, 503, certain=True))
    health = rig.states[0].health
    rig.clock.time += 2.0
    assert health.admits(rig.clock.now())
    rig.next_request()
    with rig.attempts.at(chosen(rig.states[0])):
        assert not health.admits(rig.clock.now())
    assert rig.telemetry.returned == ["edge:1"]
    assert health.admits(rig.clock.now())


def test_a_trial_whose_caller_leaves_lets_the_next_one_try() -> None:
    rig = TwoEndpoints()
    for _ in range(3):
        rig.next_request()
        rig.fail(0, bad_status("edge:1", PATH, 503, certain=True))
    rig.clock.time += 2.0
    rig.next_request()
    with pytest.raises(KeyboardInterrupt), rig.attempts.at(chosen(rig.states[0])):
        raise KeyboardInterrupt
    assert rig.states[0].health.ejected
    assert rig.states[0].health.admits(rig.clock.now())


def test_a_stream_that_breaks_in_its_middle_counts_against_its_endpoint() -> None:
    rig = TwoEndpoints()
    with rig.attempts.at(chosen(rig.states[0])) as slot:
        slot.keep()
    slot.broke(broke("edge:1"))
    slot.release()
    assert not rig.states[0].health.sound(rig.clock.now())


def poison(rig: TwoEndpoints, caller: str) -> int:
    """How many endpoints are asked for a request that fails at each."""
    rig.next_request(caller)
    for at, endpoint in enumerate(("edge:1", "edge:2")):
        try:
            with rig.attempts.at(chosen(rig.states[at])):
                raise broke(endpoint)
        except EngineFailed:
            return at
    with pytest.raises(EngineFailed):
        rig.attempts.raise_failure()
    return 2


def test_a_caller_whose_requests_fail_everywhere_has_them_tried_once_and_others_twice() -> None:
    rig = TwoEndpoints()
    assert [poison(rig, "one") for _ in range(12)] == [2] * 10 + [1] * 2
    assert poison(rig, "two") == 2
    assert rig.telemetry.ejected == []
    rig.clock.time += 60.0
    assert [poison(rig, "one") for _ in range(12)] == [2] * 10 + [1] * 2


def test_what_an_endpoint_fails_by_itself_costs_its_caller_nothing() -> None:
    rig = TwoEndpoints()
    for _ in range(30):
        rig.next_request()
        rig.fail(0, broke("edge:1"))
        rig.succeed(1)
    assert poison(rig, "one") == 2
