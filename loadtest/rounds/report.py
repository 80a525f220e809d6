"""The table, the lines of the progress, and the figures of the final line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtest.measure.results import Table
from loadtest.rounds.measurement import CONTROL, CellResult
from loadtest.rounds.testbed import ALWAYS, AUTO

COLUMNS = (
    "least step ms", "context", "acceptance", "RTT ms", "drafts a round", "plain TPOT ms",
    "always rounds: ratio", "as chosen: ratio", "tokens by rounds, as chosen, %", "control",
)  # fmt: skip
KEYS = ("auto_worst", "auto_best", "always_worst", "always_best", "control_worst", "mismatches")
"""The keys of the final line, in this order."""


def table(results: Sequence[CellResult]) -> Table:
    rows = [
        (
            result.step_ms,
            result.cell.context,
            result.cell.acceptance,
            result.cell.round_trip_ms,
            result.cell.most,
            result.plain_ms,
            result.ratio(ALWAYS),
            result.ratio(AUTO),
            100 * result.from_rounds,
            result.ratio(CONTROL),
        )
        for result in results
    ]
    title = "Plain stream's time per output token over that of rounds: above 1, rounds are faster"
    return Table(name="ratios", title=title, columns=COLUMNS, rows=rows)


def line(result: CellResult) -> str:
    """Of the progress."""
    return (
        f"{result.cell.name}: plain {result.plain_ms:.1f} ms, "
        f"always {result.ratio(ALWAYS).median:.2f}, chosen {result.ratio(AUTO).median:.2f} "
        f"({result.from_rounds:.0%} by rounds)"
    )


def final_figures(results: Sequence[CellResult]) -> Mapping[str, float | None]:
    """Exactly KEYS, in their order: medians of cells."""
    medians = {
        way: [result.ratio(way).median for result in results] for way in (AUTO, ALWAYS, CONTROL)
    }
    figures: list[float | None] = [
        min(medians[AUTO]),
        max(medians[AUTO]),
        min(medians[ALWAYS]),
        max(medians[ALWAYS]),
        min(medians[CONTROL]),
        sum(result.mismatches for result in results),
    ]
    return dict(zip(KEYS, figures, strict=True))
