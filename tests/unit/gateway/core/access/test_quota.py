from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.access.key import Quotas
from gateway.core.access.quota import (
    DAY_S,
    MINUTE_S,
    KeyUse,
    QuotaBucket,
    RequestUse,
    estimated_tokens,
)

amounts = st.floats(0, 500)
pauses = st.floats(0, 200)


def use(**quotas: int) -> KeyUse:
    return KeyUse(Quotas(**quotas))


@given(st.lists(st.tuples(pauses, amounts), max_size=40), st.integers(1, 1000))
def test_what_is_let_in_is_within_the_limit_and_the_refill_but_for_the_last(
    asked: list[tuple[float, float]], limit: int
) -> None:
    bucket = QuotaBucket(quota="tokens_per_min", limit=limit, period_s=MINUTE_S)
    now = before = 0.0
    for pause, amount in asked:
        now += pause
        if bucket.wait_s(amount, now) == 0.0:
            # Before this one no more had been used than may be.
            assert before <= limit + now * limit / MINUTE_S + 1e-6
            bucket.draw(amount, now)
            before += amount


@given(st.lists(amounts, max_size=20), st.integers(1, 1000), pauses)
def test_whoever_waits_as_long_as_told_is_let_in(
    used: list[float], limit: int, pause: float
) -> None:
    bucket, now = QuotaBucket(quota="tokens_per_min", limit=limit, period_s=MINUTE_S), 5.0
    for amount in used:
        bucket.draw(amount, now)
    wait_s = bucket.wait_s(10.0, now + pause)
    assert math.isfinite(wait_s)
    assert bucket.wait_s(10.0, now + pause + wait_s) == 0.0


def test_more_than_the_limit_is_let_in_once_it_is_full() -> None:
    bucket = QuotaBucket(quota="tokens_per_min", limit=100, period_s=MINUTE_S)
    assert bucket.wait_s(5000, 0.0) == 0.0
    bucket.draw(5000, 0.0)
    assert bucket.available(0.0) == -4900
    assert bucket.wait_s(5000, 0.0) == pytest.approx(3000.0)


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 50), st.booleans()), max_size=40))
def test_replicas_that_share_a_bucket_agree_once_all_is_told(
    steps: list[tuple[int, int, bool]],
) -> None:
    shared = QuotaBucket(quota="tokens_per_min", limit=100, period_s=MINUTE_S)
    replicas = [QuotaBucket(quota="tokens_per_min", limit=100, period_s=MINUTE_S) for _ in range(2)]

    def tell(replica: QuotaBucket, spent_meanwhile: int = 0) -> None:
        delivered = replica.undelivered
        replica.draw(spent_meanwhile, 0.0)
        shared.draw(delivered, 0.0)
        replica.adopt(shared.level, delivered, 0.0)

    total = 0
    for which, amount, told in steps:
        replicas[which].draw(amount, 0.0)
        total += amount
        if told:
            tell(replicas[which], spent_meanwhile=1)
            total += 1
    for replica in (*replicas, *replicas):
        tell(replica)
    assert [replica.available(0.0) for replica in replicas] == [100 - total] * 2


def test_a_request_is_charged_by_estimate_and_settled_by_what_it_used() -> None:
    key = use(tokens_per_min=1000, tokens_per_day=5000)
    assert key.enter(400, 0.0) is None
    assert key.tokens is not None and key.day_tokens is not None
    assert key.tokens.available(0.0) == 600
    key.leave(400, RequestUse(engine_requests=1, tokens=150), 0.0)
    assert (key.tokens.available(0.0), key.day_tokens.available(0.0)) == (850, 4850)


def test_a_collective_counts_as_the_requests_that_engines_got() -> None:
    key = use(requests_per_min=10)
    assert key.enter(0, 0.0) is None
    key.leave(0, RequestUse(engine_requests=17), 0.0)
    assert key.requests is not None
    assert key.requests.available(0.0) == -7
    refusal = key.enter(0, 0.0)
    assert refusal is not None
    assert (refusal.quota, refusal.limit) == ("requests_per_min", 10)
    assert refusal.wait_s == pytest.approx(48.0)


def test_of_several_quotas_the_one_with_the_longest_wait_is_told() -> None:
    key = use(requests_per_min=1, tokens_per_day=100)
    assert key.enter(100, 0.0) is None
    refusal = key.enter(100, 0.0)
    assert refusal is not None
    assert refusal.quota == "tokens_per_day"
    assert refusal.wait_s == pytest.approx(DAY_S)


def test_requests_in_flight_are_bounded_over_all_replicas() -> None:
    key = use(in_flight=2)
    assert key.enter(0, 0.0) is None
    key.others_in_flight = 1
    refusal = key.enter(0, 0.0)
    assert refusal is not None and refusal.quota == "in_flight"
    key.leave(0, RequestUse(), 0.0)
    assert key.enter(0, 0.0) is None


def test_a_limit_that_is_changed_begins_full_and_the_others_keep_their_level() -> None:
    key = use(requests_per_min=10, tokens_per_min=100)
    assert key.enter(40, 0.0) is None
    key.change(Quotas(requests_per_min=5, tokens_per_min=100))
    assert key.requests is not None and key.tokens is not None
    assert (key.requests.available(0.0), key.tokens.available(0.0)) == (5, 60)
    assert key.in_flight == 1


def test_without_quotas_everything_may_enter() -> None:
    key = use()
    for _ in range(1000):
        assert key.enter(10**9, 0.0) is None


def test_an_answer_without_a_limit_is_expected_to_have_a_few_hundred_tokens() -> None:
    assert estimated_tokens(400, None, 1) == 356
    assert estimated_tokens(400, 10, 1) == 110
    assert estimated_tokens(400, 10, 0) == 100
    assert estimated_tokens(400, 10, 8) == 180
