from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core import backoff
from k8s.discovery import backoff as discovery


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


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_discovery_backs_off_by_the_same_formula(failures: int, uniform: float) -> None:
    """The walls between the packages forbid to share it."""
    assert discovery.pause_s(failures, uniform) == backoff.pause_s(
        failures, uniform, first_s=discovery.FIRST_S, longest_s=discovery.LONGEST_S
    )
