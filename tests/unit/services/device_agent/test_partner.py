from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.device_agent.partner import LOOK_EVERY, Partner
from tests.unit.services.device_agent.test_pace import USUAL


@given(st.lists(st.floats(0.001, 0.05), min_size=1, max_size=9))
def test_the_step_is_at_first_the_mean_of_the_gaps(gaps: list[float]) -> None:
    partner = Partner()
    for gap in gaps:
        partner.gap(gap)
    assert abs(partner.step_s - sum(gaps) / len(gaps)) < 1e-9


@given(st.lists(st.integers(1, 8), min_size=1, max_size=30))
def test_steps_that_are_heard_of_together_share_their_time(heard: list[int]) -> None:
    partner = Partner()
    for steps in heard:
        partner.gap(steps * 0.006, steps)
    assert abs(partner.step_s - 0.006) < 1e-9


def test_a_stall_is_no_step() -> None:
    partner = Partner()
    for _ in range(50):
        partner.gap(0.006)
    partner.gap(30.0)
    assert partner.step_s < 0.008


def test_an_engine_that_becomes_slower_is_noticed() -> None:
    partner = Partner()
    for _ in range(50):
        partner.gap(0.006)
    for _ in range(100):
        partner.gap(0.03)
    assert 0.028 < partner.step_s <= 0.031


def test_some_answers_look_again() -> None:
    partner = Partner()
    looks = [partner.looks_again() for _ in range(5 * LOOK_EVERY)]
    assert sum(looks) == 5
    assert not looks[0]


def test_the_decision_has_a_memory() -> None:
    partner = Partner()
    between = next(
        pace
        for pace in (replace(USUAL, acceptance=a / 1000) for a in range(999, 0, -1))
        if not Partner.decide(stubborn(False), pace)
    )
    assert partner.decide(replace(USUAL, acceptance=0.99))
    assert partner.decide(between), "it goes on with what it would not begin"
    assert not partner.decide(replace(USUAL, acceptance=0.0))
    assert not partner.decide(between)


def stubborn(drafting: bool) -> Partner:
    partner = Partner()
    partner.drafting = drafting
    return partner


def test_a_pace_is_what_was_learned() -> None:
    partner = Partner()
    for _ in range(100):
        partner.acceptance.learn(0.9, True)
    partner.gap(0.01)
    pace = partner.pace(0.001, 0.05, 16)
    assert pace.acceptance > 0.95
    assert (pace.step_s, pace.draft_s, pace.round_trip_s, pace.per_step) == (0.01, 0.001, 0.05, 16)
