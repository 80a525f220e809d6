"""From single answers to figures: one cell is a way on a link, against server-only streaming."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtest.measure.spread import Spread, percentile
from loadtest.speculation.plan import AUTO, RATE_MB_S, ROUND_TRIPS_MS, Stop, Way
from loadtest.speculation.statistics import median_ratio, p99_ratio
from loadtest.speculation.stops import AGAIN, DIRECT, SERVER_ONLY, Sample

KEYS = (
    *(f"tpot_ratio_rtt_{ms}" for ms in ROUND_TRIPS_MS),
    *(f"a80_rtt_{ms}" for ms in ROUND_TRIPS_MS),
    "step_ms", "worst_cell_p99_ratio", "exact_prompts", "mismatches", "device_edge_speedup",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """`ratio` and `p99` are server-only TPOT over ours, `answer` is the same of whole answers'
    times: above 1 is faster. Times in ms.

    `mismatches` counts answers whose ids differ from those of the engine alone, `degraded` those
    that the device had to finish by itself.
    """

    stop: Stop
    way: Way | str
    answers: int
    step_ms: float
    server_tpot_ms: float
    tpot_ms: float
    ratio: Spread
    p99: Spread
    answer: Spread
    ttft_ms: float
    server_ttft_ms: float
    accepted_share: float | None
    mismatches: int
    degraded: int

    @property
    def name(self) -> str:
        return f"{self.stop.name}, {self.way if isinstance(self.way, str) else self.way.name}"

    @property
    def adaptive(self) -> bool:
        return isinstance(self.way, Way) and self.way.window == AUTO


def cells_of(stop: Stop, samples: Sequence[Sample]) -> list[Cell]:
    """Every way but the server-only one, which each is compared with round by round."""
    server = {one.round: one for one in samples if one.way == SERVER_ONLY}
    steps = [gap for one in samples for gap in one.gaps]
    step_ms = 1e3 * statistics.median(steps) if steps else float("nan")
    groups: dict[Way | str, list[Sample]] = {}
    for one in samples:
        if one.way not in (SERVER_ONLY, DIRECT):
            groups.setdefault(one.way, []).append(one)
    found = (_cell(stop, way, group, server, step_ms) for way, group in groups.items())
    return [cell for cell in found if cell is not None]


def _cell(
    stop: Stop,
    way: Way | str,
    group: Sequence[Sample],
    server: Mapping[int, Sample],
    step_ms: float,
) -> Cell | None:
    pairs = [
        (theirs, one.tpot)
        for one in group
        if one.tpot is not None and (theirs := server[one.round].tpot) is not None
    ]
    if not pairs:
        return None
    drafted = sum(one.drafted for one in group)
    return Cell(
        stop,
        way,
        len(group),
        step_ms,
        1e3 * statistics.median(theirs for theirs, _ in pairs),
        1e3 * statistics.median(ours for _, ours in pairs),
        median_ratio(pairs),
        p99_ratio(pairs),
        median_ratio([(server[one.round].latency, one.latency) for one in group]),
        1e3 * statistics.median(one.ttft for one in group),
        1e3 * statistics.median(server[one.round].ttft for one in group),
        sum(one.accepted for one in group) / drafted if drafted else None,
        sum(not one.exact for one in group),
        sum(one.degraded for one in group),
    )


def worst_p99(cells: Iterable[Cell], again: bool = False) -> Cell:
    """The adaptive cell whose slowest answers lose most; of server-only asked again, with `again`.

    Raises ValueError without any.
    """
    chosen = (cell for cell in cells if (cell.way == AGAIN if again else cell.adaptive))
    return min(chosen, key=lambda cell: cell.p99.median)


def at(cells: Iterable[Cell], round_trip_ms: int, way: Way) -> Cell | None:
    """The cell of this way on the link that the final line is about."""
    for cell in cells:
        if (cell.stop.round_trip_ms, cell.stop.rate_mb_s, cell.way) == (
            round_trip_ms,
            RATE_MB_S,
            way,
        ):
            return cell
    return None


def server_spread(samples: Sequence[Sample]) -> Spread:
    """Server-only TPOT in ms: the median, and the 5th and 95th percentile."""
    times = [1e3 * s.tpot for s in samples if s.way == SERVER_ONLY and s.tpot is not None]
    return Spread(statistics.median(times), percentile(times, 0.05), percentile(times, 0.95))
