from __future__ import annotations

import pytest

from gateway.core.outcome import Outcome
from gateway.core.retry import RetryBudget
from gateway.core.routing.routing import Choice
from gateway.core.types import EndpointState
from gateway.errors import ConnectFailed, EngineFailed, InvalidRequest, UpstreamError
from gateway.serving.requests.attempts import Attempts, note_attempt
from tests.unit.gateway.build import request, retry_budget, state
from tests.unit.gateway.fakes import FakeAnswer, FakeEndpoints, Recorder


class Failover:
    """Attempts at two endpoints."""

    def __init__(self, budget: RetryBudget | None = None) -> None:
        self.states = [state("edge:1"), state("edge:2")]
        self.endpoints = FakeEndpoints(self.states)
        self.telemetry = Recorder()
        self.attempts = Attempts(
            endpoints=self.endpoints, telemetry=self.telemetry, budget=budget or retry_budget()
        )

    def fail(self, at: int, error: UpstreamError) -> None:
        with self.attempts.at(chosen(self.states[at])):
            raise error


def chosen(at: EndpointState) -> Choice:
    return Choice(at, "rill-edge", "only")


def refused(endpoint: str) -> ConnectFailed:
    return ConnectFailed("refused", endpoint=endpoint, code="connect_failed")


def broke(endpoint: str) -> EngineFailed:
    return EngineFailed("broke", endpoint=endpoint, code="engine_error")


def test_a_place_is_counted_while_the_block_runs() -> None:
    failover = Failover()
    with failover.attempts.at(chosen(failover.states[0])) as slot:
        answer = slot.answer = FakeAnswer([])
        assert failover.states[0].in_flight == 1
    assert failover.states[0].in_flight == 0
    assert answer.closed


def test_a_place_that_is_kept_lasts_until_it_is_released() -> None:
    failover = Failover()
    with failover.attempts.at(chosen(failover.states[0])) as slot:
        answer = slot.answer = FakeAnswer([])
        slot.keep()
    assert failover.states[0].in_flight == 1 and not answer.closed
    slot.release()
    assert failover.states[0].in_flight == 0 and answer.closed


def test_a_failure_before_the_answer_began_leads_to_another_attempt() -> None:
    failover = Failover()
    failover.fail(0, broke("edge:1"))
    assert failover.attempts.failed_ids == {"edge:1"}
    assert failover.endpoints.failed == []
    assert failover.telemetry.retries == []
    failover.attempts.at(chosen(failover.states[1]))
    assert failover.telemetry.retries == [("edge", "engine_error")]


def test_a_failure_after_the_answer_began_is_the_requests_own_end() -> None:
    failover = Failover()
    with (
        pytest.raises(EngineFailed),
        failover.attempts.at(chosen(failover.states[0])) as slot,
    ):
        slot.begun = True
        raise broke("edge:1")
    assert failover.attempts.failure is None
    assert failover.states[0].in_flight == 0


def test_an_error_of_the_callers_is_not_retried() -> None:
    failover = Failover()
    with pytest.raises(InvalidRequest), failover.attempts.at(chosen(failover.states[0])):
        raise InvalidRequest("no", code="invalid_value")
    assert failover.states[0].in_flight == 0


def test_a_refused_connection_takes_the_endpoint_out_and_costs_no_budget() -> None:
    failover = Failover(retry_budget(ratio=0.0, reserve=0.0))
    failover.fail(0, refused("edge:1"))
    assert failover.endpoints.failed == ["edge:1"]
    failover.attempts.at(chosen(failover.states[1]))
    assert failover.telemetry.retries == [("edge", "connect_failed")]


def test_without_budget_the_last_failure_is_raised() -> None:
    failover = Failover(retry_budget(ratio=0.0, reserve=0.0))
    failover.fail(0, broke("edge:1"))
    with pytest.raises(EngineFailed, match="broke"):
        failover.attempts.at(chosen(failover.states[1]))
    assert failover.states[1].in_flight == 0
    assert failover.telemetry.retries == []


def test_attempts_that_reached_an_engine_are_bounded() -> None:
    failover = Failover(retry_budget(max_attempts=2))
    failover.fail(0, broke("edge:1"))
    failover.fail(1, refused("edge:2"))
    failover.fail(0, broke("edge:1"))
    with pytest.raises(EngineFailed):
        failover.attempts.at(chosen(failover.states[1]))


def test_the_last_failure_is_raised_only_if_there_is_one() -> None:
    failover = Failover()
    failover.attempts.raise_failure()
    failover.fail(0, broke("edge:1"))
    with pytest.raises(EngineFailed, match="broke"):
        failover.attempts.raise_failure()


def test_an_attempt_is_noted_in_the_outcome() -> None:
    outcome = Outcome(request=request())
    note_attempt(outcome, chosen(state("edge:1")), 3.0)
    note_attempt(outcome, chosen(state("edge:2")), 5.0)
    assert (outcome.attempts, outcome.opened, outcome.endpoint) == (2, 5.0, "edge:2")
    assert (outcome.model, outcome.tier, outcome.reason) == ("rill-edge", "edge", "only")
