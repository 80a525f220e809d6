import pytest

from loadtest.tiers.plan import LONG, TABLE, Phase
from loadtest.tiers.report import KEYS, figures, tables
from tests.unit.loadtest.tiers.answers import EMULATED, NATURAL_WAYS, cell, compared, results


def test_the_figures_are_of_the_cells_that_they_name() -> None:
    measured = figures(results())
    assert tuple(measured) == KEYS
    assert measured["two_tier_speedup"] == pytest.approx(0.2 / 0.1)
    # Of both round trips the lower: at 20 ms the cloud alone took longer.
    assert measured["three_tier_speedup"] == pytest.approx(0.4 / 0.2)
    assert measured["three_tier_speedup_a80_rtt_50"] == pytest.approx(0.4 / 0.2)
    assert measured["mismatches"] == 0


def test_what_was_not_measured_is_null() -> None:
    measured = figures(compared(cell(TABLE, 20, NATURAL_WAYS[:1])))
    assert measured["two_tier_speedup"] is None
    assert measured["three_tier_speedup_a80_rtt_50"] is None


def test_every_phase_has_tables_of_its_own() -> None:
    table = cell(TABLE, 20, NATURAL_WAYS)
    emulated = Phase(name=EMULATED, cells=[table], steps_ms={"cloud": 25.0})
    made = tables([*results(), *compared(table, phase=emulated)])
    assert [table.name for table in made] == ["tiers", "tiers-emulated", "spoiled-emulated"]
    assert all(len(row) == len(table.columns) for table in made for row in table.rows)
    assert EMULATED in made[-1].title
    assert {row[1] for row in made[0].rows} == {"all kinds", LONG}
