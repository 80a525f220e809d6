import pytest

from loadtest.tiers.plan import TABLE, Phase
from loadtest.tiers.report import KEYS, figures, tables
from tests.unit.loadtest.tiers.answers import NATURAL_WAYS, cell, compared, results


def test_the_figures_are_of_the_cells_that_they_name() -> None:
    measured = figures(results())
    assert tuple(measured) == KEYS
    assert measured["two_tier_speedup"] == pytest.approx(0.2 / 0.1)
    # Of both round trips the lower: at 50 ms everything took twice as long.
    assert measured["three_tier_speedup"] == pytest.approx(2.0)
    a80 = measured["three_tier_speedup_a80_rtt_50"]
    assert a80 == pytest.approx((0.4 - 0.05) / (0.2 - 0.05))
    assert measured["mismatches"] == 0


def test_what_was_not_measured_is_null() -> None:
    measured = figures(compared(cell(TABLE, 20, NATURAL_WAYS[:1])))
    assert measured["two_tier_speedup"] is None
    assert measured["three_tier_speedup_a80_rtt_50"] is None


def test_every_phase_has_tables_of_its_own() -> None:
    table = cell(TABLE, 20, NATURAL_WAYS)
    emulated = Phase(name="emulated steps", cells=[table], steps_ms={"cloud": 25.0})
    made = tables([*results(), *compared(table, phase=emulated)])
    assert [table.name for table in made] == ["tiers", "spoiled", "tiers-emulated"]
    assert all(len(row) == len(table.columns) for table in made for row in table.rows)
    assert "emulated steps" in made[-1].title
