"""The tables and the final line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtest.measure.results import Cell as TableCell
from loadtest.measure.results import Table
from loadtest.speculation.cells import KEYS, Cell, at, worst_p99
from loadtest.speculation.plan import A80, AUTO, DRAFTERS, GOALS, NATURAL, ROUND_TRIPS_MS, Way
from loadtest.speculation.stops import AGAIN, CO_LOCATED


def final_figures(
    cells: Sequence[Cell],
    *,
    step_ms: float,
    exact_prompts: int,
    mismatches: int,
    device_edge_speedup: float | None,
) -> dict[str, float | None]:
    """Exactly KEYS, in their order. Ratios above 1 are faster than server-only."""
    figures: list[float | None] = [
        cell.ratio.median if (cell := at(cells, ms, Way(drafter))) else None
        for drafter in (NATURAL, A80)
        for ms in ROUND_TRIPS_MS
    ]
    worst = worst_p99(cells).p99.median
    figures += [step_ms, worst, exact_prompts, mismatches, device_edge_speedup]
    return dict(zip(KEYS, figures, strict=True))


def ratios(cells: Sequence[Cell]) -> Table:
    """The adaptive window on every link, with every drafter."""
    columns = (
        "RTT ms", "MB/s", "acceptance", "answers", "engine step ms", "server-only TPOT ms",
        "TPOT ms", "ratio", "goal", "p99 ratio", "answer ratio", "TTFT ms", "server-only TTFT ms",
        "drafts accepted %", "mismatches", "degraded",
    )  # fmt: skip
    chosen = [cell for cell in cells if cell.adaptive or cell.way == AGAIN]
    rows = [_row(cell, adaptive=True) for cell in chosen]
    title = (
        "TPOT with the adaptive window, against server-only streaming "
        "(ratios above 1: faster; in brackets 95 % bootstrap intervals)"
    )
    return Table("ratios", title, columns, rows)


def windows(cells: Sequence[Cell]) -> Table:
    """Fixed windows of the natural drafter, and the co-located baseline."""
    columns = (
        "RTT ms", "MB/s", "window", "answers", "engine step ms", "server-only TPOT ms",
        "TPOT ms", "ratio", "p99 ratio", "answer ratio", "TTFT ms", "server-only TTFT ms",
        "drafts accepted %", "mismatches", "degraded",
    )  # fmt: skip
    natural = sorted((cell for cell in cells if _in_windows(cell.way)), key=_place)
    rows = [_row(cell, adaptive=False) for cell in natural]
    return Table("windows", "TPOT by draft window, at natural acceptance", columns, rows)


def _in_windows(way: Way | str) -> bool:
    return way == CO_LOCATED or (isinstance(way, Way) and way.drafter == NATURAL)


def _place(cell: Cell) -> tuple[float, float, float]:
    """Links in turn; their windows by size, then the adaptive one, then the baseline."""
    window = cell.way.window if isinstance(cell.way, Way) else ""
    place = float(window) if window.isdigit() else 1000.0 if window == AUTO else 2000.0
    return cell.stop.rate_mb_s, cell.stop.round_trip_ms, place


def _row(cell: Cell, *, adaptive: bool) -> Sequence[TableCell]:
    way = cell.way
    label = way if isinstance(way, str) else way.drafter if adaptive else way.window
    share = None if cell.accepted_share is None else 100 * cell.accepted_share
    goal: list[TableCell] = []
    if adaptive:
        goals = GOALS.get(way.drafter, {}) if isinstance(way, Way) else {}
        goal = [goals.get(cell.stop.round_trip_ms)]
    return [
        cell.stop.round_trip_ms,
        cell.stop.rate_mb_s,
        label,
        cell.answers,
        cell.step_ms,
        cell.server_tpot_ms,
        cell.tpot_ms,
        cell.ratio,
        *goal,
        cell.p99,
        cell.answer,
        cell.ttft_ms,
        cell.server_ttft_ms,
        share,
        cell.mismatches,
        cell.degraded,
    ]


def drafters(
    natural: float, spoil: Mapping[str, float], learned: Mapping[str, float | None]
) -> Table:
    """How each drafter was made, and what acceptance came of it."""
    rows: list[Sequence[TableCell]] = []
    for name in DRAFTERS:
        share = spoil.get(name, 0.0)
        rows.append([name, share, natural * (1 - share), learned.get(name)])
    columns = (
        "drafter", "drafts replaced at random", "acceptance by construction",
        "acceptance as the agent measured it",
    )  # fmt: skip
    title = "Drafters: the chance that a draft token is right when all before it are"
    return Table("drafters", title, columns, rows)
