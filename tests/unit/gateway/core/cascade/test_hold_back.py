"""Which tokens of an unfinished answer may go already."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cascade.features import features
from gateway.core.cascade.hold_back import HoldBack
from gateway.core.cascade.predictor import ConfidenceModel, Term

RULE = ConfidenceModel(terms=[Term(feature="worst_window", weight=1.0)], link="exp")
LOGPROBS = st.lists(st.floats(-4, 0), max_size=40)


@given(LOGPROBS, st.integers(1, 8), st.floats(0, 1))
def test_only_what_a_whole_window_follows_is_free_and_never_less_than_before(
    logprobs: list[float], window: int, threshold: float
) -> None:
    hold, free = HoldBack(model=RULE, threshold=threshold, window=window), 0
    for count, value in enumerate(logprobs, 1):
        now = hold.add(value)
        assert free <= now <= max(0, count - window + 1)
        free = now


@given(LOGPROBS, st.integers(1, 8), st.floats(0.01, 1))
def test_nothing_is_freed_from_the_first_dip_on(
    logprobs: list[float], window: int, threshold: float
) -> None:
    hold = HoldBack(model=RULE, threshold=threshold, window=window)
    hold.add(*logprobs)
    beginnings = [features(logprobs[: end + 1], window) for end in range(len(logprobs))]
    held = [RULE.confidence(values) >= threshold for values in beginnings]
    dip = held.index(False) if False in held else len(held)
    assert hold.dipped == (False in held)
    assert hold.free == max(0, dip - window + 1)


@given(LOGPROBS, st.integers(1, 8), st.data())
def test_it_does_not_matter_in_which_pieces_tokens_come(
    logprobs: list[float], window: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(logprobs)))
    one, two = (
        HoldBack(model=RULE, threshold=0.3, window=window),
        HoldBack(model=RULE, threshold=0.3, window=window),
    )
    one.add(*logprobs)
    two.add(*logprobs[:cut])
    two.add(*logprobs[cut:])
    assert (one.free, one.dipped) == (two.free, two.dipped)


def test_where_everything_passes_everything_flows() -> None:
    hold = HoldBack(model=RULE, threshold=0.0, window=2)
    assert hold.add(-5.0, -5.0, -5.0) == 2


class Counted(float):
    """Counts how often log-probabilities are looked at."""

    looks = 0

    def __gt__(self, other: object) -> bool:
        Counted.looks += 1
        return float(self) > other  # type: ignore[operator]


def test_a_token_is_looked_at_once_however_long_the_answer_is() -> None:
    hold, count = HoldBack(model=RULE, threshold=0.5, window=4), 500
    for _ in range(count):
        hold.add(Counted(-0.01))
    assert hold.free == count - 3
    assert Counted.looks <= 2 * count
