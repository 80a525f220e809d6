"""The timeline: when faults were in force, and what became of the calls in each second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import pyplot
from matplotlib.axes import Axes

from loadtest.callers.verdicts import Verdict
from loadtest.chaos.outcomes import CallOutcome
from loadtest.chaos.schedule import CALM, Span
from loadtest.measure.plots import ACCENT, BASELINE, CANDIDATE, GREEN, VIOLET, save
from loadtest.measure.process_samples import ProcessSeries
from loadtest.measure.statistics import percentile

RED, BLACK = "#cf222e", "#24292f"
COLOURS = {
    Verdict.RIGHT: GREEN,
    Verdict.RETURNED: CANDIDATE,
    Verdict.CUT: BASELINE,
    Verdict.REFUSED: ACCENT,
    Verdict.LOST: RED,
    Verdict.DUPLICATED: VIOLET,
    Verdict.WRONG: BLACK,
}


def plot_timeline(
    path: Path,
    *,
    spans: Sequence[Span],
    outcomes: Sequence[CallOutcome],
    processes: Sequence[ProcessSeries],
    start: float,
) -> Path:
    """Four rows over the same seconds since `start`."""
    spans = [span for span in spans if span.name != CALM]
    names = list(dict.fromkeys(span.name for span in spans))
    figure, rows = pyplot.subplots(
        4,
        1,
        sharex=True,
        figsize=(13, 7.5 + 0.19 * len(names)),
        layout="constrained",
        height_ratios=[max(1.0, 0.12 * len(names)), 1.4, 1, 0.8],
    )
    for axes in rows:
        axes.grid(True, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    _faults(rows[0], spans, names, start)
    _ends(rows[1], outcomes, start)
    _times(rows[2], outcomes, start)
    _memory(rows[3], processes, start)
    rows[3].set_xlabel("seconds since the first caller", fontsize=9)
    caption = (
        "Orange bars: when a fault was in force. Below: calls by what became of them (in "
        "brackets how many in all), half of the answers are quicker than p50 and all but one "
        "in a hundred than p99, and the memory of each gateway process."
    )
    return save(figure, path, caption=caption)


def _faults(axes: Axes, spans: Sequence[Span], names: Sequence[str], start: float) -> None:
    for span in spans:
        axes.barh(
            names.index(span.name), span.end - span.begin, left=span.begin - start, color=ACCENT
        )
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_title("faults in force", fontsize=9, loc="left")


def _ends(axes: Axes, outcomes: Sequence[CallOutcome], start: float) -> None:
    """Calls by the second in which they ended, stacked by verdict."""
    seconds = 1 + max((int(outcome.ended - start) for outcome in outcomes), default=0)
    below = [0] * seconds
    for verdict, colour in COLOURS.items():
        counts = [0] * seconds
        for outcome in outcomes:
            if outcome.verdict is verdict:
                counts[int(outcome.ended - start)] += 1
        if any(counts):
            label = f"{verdict} ({sum(counts)})"
            axes.bar(range(seconds), counts, 1.0, bottom=below, color=colour, label=label)
        below = [low + count for low, count in zip(below, counts, strict=True)]
    axes.legend(fontsize=8, ncols=len(COLOURS), loc="upper left", frameon=False)
    axes.margins(y=0.2)
    axes.set_ylabel("calls a second", fontsize=8)
    axes.set_title("calls that ended in this second", fontsize=9, loc="left")


def _times(axes: Axes, outcomes: Sequence[CallOutcome], start: float) -> None:
    """Times of the answers by the second in which they ended."""
    by_second: dict[int, list[float]] = {}
    for outcome in outcomes:
        by_second.setdefault(int(outcome.ended - start), []).append(outcome.seconds)
    seconds = sorted(by_second)
    for share, colour in ((0.5, BASELINE), (0.99, CANDIDATE)):
        values = [percentile(by_second[second], share) for second in seconds]
        axes.plot(seconds, values, color=colour, linewidth=1, label=f"p{100 * share:.0f}")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, loc="upper left", frameon=False)
    axes.set_ylabel("seconds", fontsize=8)
    axes.set_title("time of a whole answer", fontsize=9, loc="left")


def _memory(axes: Axes, processes: Sequence[ProcessSeries], start: float) -> None:
    for series, colour in zip(processes, 4 * (CANDIDATE, ACCENT, GREEN, VIOLET), strict=False):
        times = [sample.at - start for sample in series.samples]
        values = [sample.rss_mb for sample in series.samples]
        axes.plot(times, values, color=colour, linewidth=1, label=series.name)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, loc="lower left", ncols=4, frameon=False)
    axes.set_ylabel("MiB", fontsize=8)
    axes.set_title("resident memory of the gateway's processes", fontsize=9, loc="left")
