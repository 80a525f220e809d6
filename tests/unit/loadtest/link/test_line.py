import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.link.line import Conditions, Line, Stall

ROUNDING_S = 1e-6
sends = st.lists(
    st.tuples(st.floats(0, 0.5), st.integers(1, 4096)), min_size=1, max_size=60
)  # (pause before it, bytes)
stalls = st.none() | st.builds(
    lambda every, share: Stall(every, every * share), st.floats(0.01, 2), st.floats(0.05, 0.95)
)
conditions = st.builds(
    lambda delay, share, rate, stall: Conditions(
        delay_s=delay, jitter_s=delay * share, bytes_per_s=rate, stall=stall
    ),
    st.floats(0, 0.1),
    st.floats(0, 1),
    st.floats(1e4, 1e8) | st.just(math.inf),
    stalls,
)


def through(line: Line, sent: list[tuple[float, int]]) -> list[tuple[float, float, int]]:
    """(entered, left, bytes) of each piece."""
    now, found = 0.0, []
    for pause, size in sent:
        now += pause
        found.append((now, line.leave(now, size), size))
    return found


@given(conditions, sends, st.integers(0, 9))
def test_pieces_keep_their_order(how: Conditions, sent: list[tuple[float, int]], seed: int) -> None:
    left = [out for _, out, _ in through(Line(how, 0.0, seed), sent)]
    assert left == sorted(left)


@given(conditions, sends, st.integers(0, 9))
def test_nothing_comes_out_before_delay_and_sending_time(
    how: Conditions, sent: list[tuple[float, int]], seed: int
) -> None:
    least = how.delay_s - how.jitter_s
    for entered, left, size in through(Line(how, 0.0, seed), sent):
        assert left >= entered + least + size / how.bytes_per_s - ROUNDING_S


@given(conditions, sends)
def test_no_stretch_of_time_carries_more_than_the_rate(
    how: Conditions, sent: list[tuple[float, int]]
) -> None:
    steady = Conditions(
        delay_s=how.delay_s, jitter_s=0.0, bytes_per_s=how.bytes_per_s, stall=how.stall
    )
    found = through(Line(steady, 0.0), sent)
    for (_, before, _), (_, after, size) in pairwise(found):
        assert after - before >= size / how.bytes_per_s - ROUNDING_S


@given(st.lists(st.integers(1, 4096), min_size=1, max_size=50), st.floats(1e4, 1e8))
def test_a_queue_leaves_at_the_full_rate(sizes: list[int], rate: float) -> None:
    line = Line(Conditions(delay_s=0.01, jitter_s=0.0, bytes_per_s=rate), 0.0)
    last = [line.leave(0.0, size) for size in sizes][-1]
    assert last == pytest.approx(0.01 + sum(sizes) / rate)


@given(stalls.filter(bool), st.floats(0, 20), st.floats(0, 5))
def test_a_stalled_line_does_its_work_outside_the_stalls(
    stall: Stall, start: float, work: float
) -> None:
    end = stall.finish(start, work)
    begins = (number * stall.every_s for number in range(1, int(end / stall.every_s) + 1))
    stalled = sum(max(0.0, min(end, at + stall.for_s) - max(start, at)) for at in begins)
    assert end - start - stalled == pytest.approx(work, rel=1e-6, abs=1e-6)


def test_new_conditions_hold_for_what_enters_later() -> None:
    line = Line(Conditions(delay_s=0.1), 0.0)
    assert line.leave(0.0, 100) == pytest.approx(0.1)
    line.conditions = Conditions(delay_s=0.01)
    assert line.leave(0.01, 100) == pytest.approx(0.1), "must not overtake the piece before it"
    assert line.leave(0.2, 100) == pytest.approx(0.21)


def test_equal_seeds_give_equal_jitter() -> None:
    how = Conditions(delay_s=0.05, jitter_s=0.02)
    sent = [(0.2, 100)] * 20
    one, same, other = (through(Line(how, 0.0, seed), sent) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Conditions(delay_s=-0.001), "delay"),
        (lambda: Conditions(delay_s=0.01, jitter_s=0.02), "jitter"),
        (lambda: Conditions(delay_s=0.01, jitter_s=0.0, bytes_per_s=0.0), "rate"),
        (lambda: Stall(1.0, 1.0), "stall"),
    ],
)
def test_conditions_that_make_no_sense_are_refused_by_name(make, named) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=named):
        make()
