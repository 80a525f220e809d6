"""The benchmark's two pictures: the gateway's overhead, and quality against latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from loadtest.bench.sizes import Size
from loadtest.measure.plots import (
    ACCENT,
    BASELINE,
    CANDIDATE,
    WHISKERS_EXTREMES,
    Points,
    error_bars,
    panels,
    save,
)
from loadtest.measure.repetitions import Comparison
from loadtest.measure.statistics import Spread


def plot_overhead(panel_titles: Mapping[str, Comparison], path: Path) -> Path:
    """One panel per comparison, by title: direct and through the gateway, with their spread."""
    figure, axes = panels(len(panel_titles), width=2.6, height=3.0)
    for panel, (title, comparison) in zip(axes, panel_titles.items(), strict=True):
        for place, (label, spread, colour) in enumerate(
            (
                ("direct", comparison.baseline, BASELINE),
                ("gateway", comparison.candidate, CANDIDATE),
            )
        ):
            if spread is not None:
                _bar(panel, place, label, spread, colour)
        panel.set_title(title, fontsize=9)
        panel.set_ylabel(comparison.unit.replace("1/s", "per second"), fontsize=8)
        panel.set_xticks([0, 1], ["direct", "gateway"])
        panel.grid(False, axis="x")
    caption = (
        "Straight to the engine and through the gateway, c requests at a time; an engine that "
        f"answers at once, or vLLM. Bars: median of the repetitions; {WHISKERS_EXTREMES}."
    )
    return save(figure, path, caption=caption)


def _bar(axes: Axes, place: int, label: str, spread: Spread, colour: str) -> None:
    axes.bar(
        place, spread.median, 0.6, yerr=error_bars([spread]), capsize=3, color=colour, label=label
    )
    text = f"{spread.median:,.0f}" if spread.median >= 100 else f"{spread.median:.2f}"
    axes.annotate(
        text, (place, spread.high), (0, 3), textcoords="offset points", ha="center", fontsize=8
    )
    axes.margins(y=0.15)


def plot_quality(sizes: Sequence[Size], path: Path) -> Path:
    """Accuracy against the time per token and per answer; a point's area shows parameters."""
    figure, (tokens, whole) = panels(2)
    dots: dict[Axes, Points] = {}
    largest = max(size.parameters for size in sizes)
    for axes, label, spreads in (
        (tokens, "time per output token, ms", [size.tpot_ms for size in sizes]),
        (whole, "time of a whole answer, ms", [size.answer_ms for size in sizes]),
    ):
        accuracy = [100 * size.accuracy for size in sizes]
        axes.plot([s.median for s in spreads], accuracy, color=BASELINE, linewidth=1, zorder=1)
        dots[axes] = [
            (spread.median, 100 * size.accuracy, f"{size.model}, {size.parameters / 1e6:.1f} M")
            for size, spread in zip(sizes, spreads, strict=True)
        ]
        for size, spread in zip(sizes, spreads, strict=True):
            error = error_bars([spread])
            y = 100 * size.accuracy
            axes.errorbar(spread.median, y, xerr=error, color=ACCENT, capsize=2, linewidth=1)
            area = 40 + 260 * size.parameters / largest
            axes.scatter(spread.median, y, s=area, color=CANDIDATE, zorder=3)
        axes.set_xlim(0, 1.25 * max(spread.high for spread in spreads))
        axes.set_ylim(max(0, min(accuracy) - 15), min(105, max(accuracy) + 15))
        axes.set_xlabel(label, fontsize=9)
        axes.set_ylabel("held-out exact match, %", fontsize=9)
    caption = (
        "Each dot is a size of the family, its area the number of parameters (M: millions). "
        f"Time: median of the repetitions; {WHISKERS_EXTREMES}."
    )
    return save(figure, path, caption=caption, dots=dots)
