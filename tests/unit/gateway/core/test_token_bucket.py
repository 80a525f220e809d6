from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.token_bucket import TokenBucket


def test_it_begins_full_and_refills_with_time() -> None:
    bucket = TokenBucket(burst=10, per_s=2)
    assert bucket.spend(10, now=0.0)
    assert not bucket.spend(1, now=0.4)
    assert bucket.spend(1, now=0.5)
    assert not bucket.spend(11, now=1000.0)


def test_what_is_refused_costs_nothing() -> None:
    bucket = TokenBucket(burst=10, per_s=1)
    assert not bucket.spend(11, now=0.0)
    assert bucket.spend(10, now=0.0)


def test_a_look_costs_nothing() -> None:
    bucket = TokenBucket(burst=10, per_s=1)
    assert bucket.has(10, now=0.0) and bucket.has(10, now=0.0)
    assert bucket.spend(10, now=0.0)
    assert not bucket.has(1, now=0.5)
    assert bucket.has(1, now=1.0)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 20)), max_size=50),
    st.floats(1, 100),
    st.floats(0.1, 50),
)
def test_no_more_passes_than_size_and_rate_allow(
    asked: list[tuple[float, float]], size: float, per_s: float
) -> None:
    bucket, now, passed = TokenBucket(burst=size, per_s=per_s), 0.0, 0.0
    for pause, amount in asked:
        now += pause
        if bucket.spend(amount, now):
            passed += amount
        assert passed <= size + now * per_s + 1e-5
