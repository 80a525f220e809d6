from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import backoff


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_pause_lies_between_half_of_what_is_due_and_all_of_it(
    failures: int, uniform: float
) -> None:
    due = min(5.0, 0.2 * 2.0 ** min(failures - 1, 30))
    pause = backoff.pause_s(failures, uniform, first_s=0.2, longest_s=5.0)
    assert 0.5 * due <= pause <= due


@given(st.integers(1, 100), st.floats(0, 1))
def test_one_more_failure_never_shortens_the_pause(failures: int, uniform: float) -> None:
    before, after = (
        backoff.pause_s(count, uniform, first_s=0.1, longest_s=2.0)
        for count in (failures, failures + 1)
    )
    assert before <= after


def test_pauses_double_up_to_the_longest() -> None:
    pauses = [
        backoff.pause_s(failures, 1.0, first_s=0.2, longest_s=15.0) for failures in range(1, 10)
    ]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]


def test_those_who_fail_together_do_not_try_together() -> None:
    low, middle, high = (
        backoff.pause_s(4, uniform, first_s=0.2, longest_s=10.0) for uniform in (0.0, 0.5, 1.0)
    )
    assert low < middle < high
