from __future__ import annotations

from loadtest.rounds import report
from loadtest.rounds.plan import FULL, QUICK
from tests.unit.loadtest.rounds.cells import cells


def test_the_final_line_has_the_worst_and_the_best_cell() -> None:
    figures = report.final_figures(cells())
    assert tuple(figures) == report.KEYS
    assert (figures["auto_worst"], figures["auto_best"]) == (1.0, 2.0)
    assert (figures["always_worst"], figures["always_best"]) == (0.5, 2.0)
    assert figures["mismatches"] == 0


def test_the_table_has_a_row_for_each_cell() -> None:
    rows = report.table(cells()).rows
    assert len(rows) == len(QUICK.steps_ms) * len(list(QUICK.cells()))
    assert all(len(row) == len(report.COLUMNS) for row in rows)


def test_the_full_plan_has_every_combination() -> None:
    assert len(set(FULL.cells())) == 2 * 3 * 2 * 1
