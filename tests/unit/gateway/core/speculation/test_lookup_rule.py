from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.lookup_rule import (
    FIRST_PAUSE,
    LEAST_ANSWERS,
    LONGEST_PAUSE,
    LookupRule,
)

GOOD = {"tokens": 100, "accepted": 40, "offers": 8}
VAIN = {"tokens": 100, "accepted": 1, "offers": 20}


def answers(rule: LookupRule, count: int, outcome: dict[str, int]) -> int:
    """So many answers, which end alike where they are drafted for; gives how many were."""
    drafted = 0
    for _ in range(count):
        if rule.allows():
            drafted += 1
            rule.record(**outcome)
    return drafted


def test_what_pays_goes_on() -> None:
    assert answers(LookupRule(), 500, GOOD) == 500


def test_what_does_not_pay_ends_and_is_tried_ever_more_rarely() -> None:
    rule = LookupRule()
    assert answers(rule, LEAST_ANSWERS, VAIN) == LEAST_ANSWERS
    assert not rule.active
    assert answers(rule, 10_000, VAIN) < 20


def test_it_comes_back_when_it_pays_again() -> None:
    rule = LookupRule()
    answers(rule, LEAST_ANSWERS, VAIN)
    assert answers(rule, 40 * LONGEST_PAUSE, GOOD) > 0
    assert rule.active


def test_one_answer_decides_nothing() -> None:
    rule = LookupRule()
    answers(rule, 100, GOOD)
    rule.record(**VAIN)
    assert rule.active
    answers(rule, 100, VAIN)
    assert not rule.active
    for _ in range(FIRST_PAUSE):
        rule.allows()
    rule.record(tokens=100, accepted=20, offers=8)
    assert not rule.active


def test_an_answer_without_tokens_tells_nothing() -> None:
    rule = LookupRule()
    rule.record(tokens=0, accepted=0, offers=5)
    assert rule.answers == 0


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 500), st.integers(0, 500))))
def test_the_mean_lies_among_the_gains(found: list[tuple[int, int, int]]) -> None:
    rule = LookupRule()
    gains = [0.0]
    for tokens, accepted, offers in found:
        rule.record(tokens=tokens, accepted=accepted, offers=offers)
        gains.append((accepted - 0.3 * offers) / tokens)
        assert min(gains) - 1e-9 <= rule.mean_gain <= max(gains) + 1e-9
