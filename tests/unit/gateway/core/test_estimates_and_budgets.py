from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.endpoints.estimate import Estimate
from tests.unit.gateway.build import retry_budget, state

positive = st.floats(1e-6, 1e6)


@given(values=st.lists(positive, min_size=1, max_size=30))
def test_an_estimate_stays_within_what_was_seen(values: list[float]) -> None:
    estimate = Estimate(prior=1.0)
    for value in values:
        estimate.observe(value, 0.0)
    assert min(values) * 0.999 <= estimate.at(0.0) <= max(values) * 1.001


def test_an_old_estimate_fades_into_its_prior() -> None:
    estimate = Estimate(prior=1.0, half_life=10.0)
    estimate.observe(3.0, now=0.0)
    assert estimate.at(0.0) == 3.0
    assert estimate.at(10.0) == pytest.approx(2.0)
    assert estimate.at(1e6) == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_value_that_is_no_measurement_is_left_out(value: float) -> None:
    estimate = Estimate(prior=1.0)
    estimate.observe(value, 0.0)
    assert estimate.mean is None


def test_retries_stay_a_fraction_of_the_traffic() -> None:
    budget = retry_budget(ratio=0.2, reserve=5.0)
    granted = 0
    for _ in range(1000):
        budget.request_started()
        granted += budget.allow_retry(attempts=1)
    assert granted <= 1000 * 0.2 + 5


def test_one_request_has_a_bounded_number_of_attempts() -> None:
    budget = retry_budget(max_attempts=3)
    assert [budget.allow_retry(attempts) for attempts in (1, 2, 3)] == [True, True, False]


def test_what_was_sent_since_the_scrape_waits_only_behind_a_queue() -> None:
    busy = state(waiting=2, in_flight=9, in_flight_at_scrape=5)
    free = state(waiting=0, in_flight=9, in_flight_at_scrape=5)
    assert (busy.queue, free.queue) == (6, 0)


def test_a_retry_that_cannot_make_things_worse_is_not_charged_and_still_bounded() -> None:
    budget = retry_budget(ratio=0.0, reserve=0.0, max_attempts=2)
    assert all(budget.allow_retry(1, charged=False) for _ in range(500))
    assert not budget.allow_retry(2, charged=False)
    assert not budget.allow_retry(1)
