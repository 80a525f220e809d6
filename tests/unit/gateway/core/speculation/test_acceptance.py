from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.acceptance import UNKNOWN, Acceptance

ROWS = st.lists(st.lists(st.booleans(), min_size=1, max_size=8), max_size=20)


def after(rows: Sequence[Sequence[bool]], prior: float = UNKNOWN) -> Acceptance:
    acceptance = Acceptance(prior)
    for row in rows:
        acceptance.record(row)
    return acceptance


def test_nothing_is_known_at_first() -> None:
    assert Acceptance().rates(3) == [UNKNOWN] * 3
    assert Acceptance(0.9).rates(2) == [0.9, 0.9]


def test_it_follows_what_was_compared() -> None:
    assert min(after([[True] * 4] * 60).rates(4)) > 0.95
    assert max(after([[False]] * 60).rates(4)) < 0.05


def test_places_differ() -> None:
    first, second = after([[True, False]] * 60).rates(2)
    assert first > 0.9
    assert second < 0.1


def test_it_forgets() -> None:
    changed = after([[True]] * 100 + [[False]] * 100)
    assert changed.rates(1)[0] == pytest.approx(after([[False]] * 100).rates(1)[0], abs=0.05)


@given(ROWS, st.floats(0, 1))
def test_rates_are_probabilities(rows: list[list[bool]], prior: float) -> None:
    assert all(0.0 <= rate <= 1.0 for rate in after(rows, prior).rates(10))


@given(ROWS)
def test_a_right_draft_makes_its_place_no_less_likely(rows: list[list[bool]]) -> None:
    assert after([*rows, [True]]).rates(1)[0] >= after(rows).rates(1)[0] - 1e-12
