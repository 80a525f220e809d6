from loadtest.speculation.comparisons import compare_link
from loadtest.speculation.plan import (
    A80,
    CO_LOCATED,
    DRAFTERS,
    NATURAL,
    QUICK,
    DraftConfig,
    Variant,
)
from loadtest.speculation.report import KEYS, final_figures, ratios, steps, windows
from tests.unit.loadtest.speculation.samples import LINK, known, measured


def test_the_final_line_has_exactly_the_agreed_keys() -> None:
    comparisons = [
        comparison
        for link in QUICK.links
        for place, drafter in enumerate(DRAFTERS)
        for comparison in compare_link(link, measured(4.0 - place, DraftConfig(drafter)))
    ]
    step = QUICK.steps[0].links[0]
    emulated = compare_link(step, measured(1.5, DraftConfig(A80)), known(A80))
    figures = final_figures(
        comparisons, emulated, step_ms=10.0, exact_prompts=9, mismatches=1, device_edge_speedup=1.6
    )
    assert tuple(figures) == KEYS == (
        "tpot_ratio_rtt_5", "tpot_ratio_rtt_20", "tpot_ratio_rtt_50", "tpot_ratio_rtt_100",
        "a80_rtt_5", "a80_rtt_20", "a80_rtt_50", "a80_rtt_100",
        "step_ms", "worst_cell_p99_ratio", "exact_prompts", "mismatches", "device_edge_speedup",
        "ideal_share_worst", "step25_rtt50",
    )  # fmt: skip
    assert [round(value or 0, 3) for value in figures.values()] == [
        *(4.0,) * 4, *(3.0,) * 4, 10.0, 1.0, 9, 1, 1.6, 1.5, 1.5,
    ]  # fmt: skip


def test_tables_have_a_cell_for_every_column() -> None:
    variants: list[Variant] = [
        DraftConfig(NATURAL),
        DraftConfig(A80),
        DraftConfig(NATURAL, "8"),
        CO_LOCATED,
    ]
    comparisons = [
        comparison
        for variant in variants
        for comparison in compare_link(LINK, measured(2.0, variant))
    ]
    tables = ((ratios(comparisons), 2), (windows(comparisons), 3), (steps(comparisons), 2))
    for table, rows in tables:
        assert len(table.rows) == rows
        assert all(len(row) == len(table.columns) for row in table.rows)
