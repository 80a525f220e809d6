from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k8s.discovery.backoff import FIRST_S, LONGEST_S, pause_s

failures = st.integers(min_value=1, max_value=10_000)


@given(failures, st.floats(0, 1))
def test_a_pause_is_never_nothing_and_never_endless(count: int, chance: float) -> None:
    assert 0.5 * FIRST_S <= pause_s(count, chance) <= LONGEST_S


@given(failures)
def test_more_failures_never_shorten_it(count: int) -> None:
    assert pause_s(count + 1, 0.5) >= pause_s(count, 0.5)


def test_gateways_that_fail_together_do_not_try_together() -> None:
    assert pause_s(4, 0.0) < pause_s(4, 0.5) < pause_s(4, 1.0)
