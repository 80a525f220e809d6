import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.model_family.training.schedule import Schedule


def schedule() -> Schedule:
    return Schedule(steps=1000, seconds=600.0, warmup=10, decay_share=0.2)


def test_the_rate_rises_stays_and_falls() -> None:
    one = schedule()
    assert one.factor(0, 0.0) == pytest.approx(0.1)
    assert one.factor(500, 0.0) == 1.0
    assert one.factor(900, 0.0) == pytest.approx(0.5)
    assert one.factor(1000, 0.0) == 0.0


def test_whichever_of_steps_and_time_is_further_along_counts() -> None:
    assert schedule().progress(100, 540.0) == pytest.approx(0.9)
    assert schedule().progress(900, 60.0) == pytest.approx(0.9)


def test_the_decay_can_begin_at_any_time() -> None:
    one = schedule()
    one.begin_decay(elapsed=100.0, seconds=50.0)
    assert one.factor(20, 100.0) == pytest.approx(1.0)
    assert one.factor(20, 125.0) == pytest.approx(0.5)
    assert one.progress(20, 150.0) == pytest.approx(1.0)


@given(st.integers(0, 2000), st.floats(0, 2000))
def test_the_factor_is_a_share(step: int, elapsed: float) -> None:
    assert 0.0 <= schedule().factor(step, elapsed) <= 1.0
