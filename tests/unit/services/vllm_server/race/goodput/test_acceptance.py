"""What is learned of a session's drafts."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vllm_server.race.goodput.acceptance import (
    BEGINNING,
    LEAST_CHANCE,
    SessionAcceptance,
    SharedAcceptance,
)

STEPS = st.lists(
    st.integers(1, 16).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=60
)


@given(STEPS, st.integers(0, 64))
def test_chances_never_rise_along_the_drafts(steps: list[tuple[int, int]], count: int) -> None:
    session = SessionAcceptance(SharedAcceptance())
    for offered, accepted in steps:
        session.observe(offered, accepted)
    chances = session.chances(count)
    assert len(chances) <= count
    assert list(chances) == sorted(chances, reverse=True)
    assert all(LEAST_CHANCE <= chance <= 1 for chance in chances)


def steps_at(session: SessionAcceptance, share: float, steps: int) -> None:
    random = Random(7)
    for _ in range(steps):
        right = 0
        while right < 16 and random.random() < share:
            right += 1
        session.observe(16, right)


@pytest.mark.parametrize("share", [0.3, 0.8, 0.95])
def test_it_comes_to_what_the_drafts_are_worth(share: float) -> None:
    session = SessionAcceptance(SharedAcceptance())
    steps_at(session, share, 200)
    chances = session.chances(16)
    assert chances[0] == pytest.approx(share, abs=0.1)
    assert sum(chances) == pytest.approx(sum(share**n for n in range(1, 17)), rel=0.3)


def test_places_differ_where_the_drafts_do() -> None:
    session = SessionAcceptance(SharedAcceptance())
    for _ in range(100):
        session.observe(4, 2)
    chances = session.chances(4)
    assert chances[1] > 0.9
    assert len(chances) == 2 or chances[2] < 0.1


def test_a_new_session_begins_with_what_others_were_worth() -> None:
    shared = SharedAcceptance()
    assert SessionAcceptance(shared).chances(1)[0] == pytest.approx(BEGINNING)
    steps_at(SessionAcceptance(shared), 0.3, 400)
    assert SessionAcceptance(shared).chances(1)[0] == pytest.approx(0.3, abs=0.15)


def test_a_bad_session_takes_nothing_from_a_good_one() -> None:
    shared = SharedAcceptance()
    good, bad = SessionAcceptance(shared), SessionAcceptance(shared)
    for _ in range(40):
        good.observe(8, 8)
        bad.observe(8, 0)
    assert good.chances(1)[0] > 0.85
    assert sum(bad.chances(1)) < 0.15
