"""Loads are compared at the same sessions, and at equal p95 TPOT."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.capacity import report
from loadtest.capacity.comparisons import Cell, compare, figures
from loadtest.capacity.load import LoadFigures
from loadtest.capacity.plan import ALL, GOODPUT, PLAIN, QUICK, Variant

DRAFTED = Variant(GOODPUT, 0.8)


def cell(sessions: int, variant: Variant, rate: float, tpot: float, wrong: int = 0) -> Cell:
    load = LoadFigures(
        tokens_per_s=rate,
        tpots=[tpot] * 20,
        mismatches=wrong,
        counts={} if variant.choice == PLAIN else {"offered": 100, "accepted": 60, "left_out": 50},
    )
    return Cell(step_ms=0.0, sessions=sessions, variant=variant, loads=[load])


CELLS = [
    cell(1, Variant(PLAIN), 100, 0.010),
    cell(1, DRAFTED, 200, 0.005),
    cell(20, Variant(PLAIN), 800, 0.025),
    cell(20, DRAFTED, 1600, 0.012),
    cell(64, Variant(PLAIN), 1500, 0.040),
    cell(64, DRAFTED, 2400, 0.024, wrong=1),
    cell(64, Variant(ALL, 0.8), 900, 0.090),
]


def test_the_same_sessions_are_compared() -> None:
    ratios = [(c.cell.sessions, c.same.median) for c in compare(CELLS)]
    assert ratios == [(1, 2.0), (20, 2.0), (64, pytest.approx(1.6)), (64, pytest.approx(0.6))]


def test_at_equal_p95_more_sessions_may_be_served() -> None:
    equal = [c.equal_p95 for c in compare(CELLS)]
    assert equal == [2.0, 3.0, pytest.approx(1.6), None]


def test_the_figures_are_of_the_choice_by_goodput_under_load() -> None:
    assert figures(CELLS) == {
        "capacity_best": 3.0,
        "capacity_worst": pytest.approx(1.6),
        "mismatches": 1,
    }


def test_table_and_picture_hold_all_loads(tmp_path: Path) -> None:
    comparisons = compare(CELLS)
    assert len(report.table(comparisons).rows) == len(comparisons)
    assert report.plot(comparisons, tmp_path / "capacity.png").stat().st_size > 0
    assert "emulated" in report.notes(QUICK)["devices"]
