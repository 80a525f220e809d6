"""One look for all plots: files are written without a display."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtest.measure.statistics import Spread

BASELINE, CANDIDATE, ACCENT = "#9aa5b1", "#1f6feb", "#d9822b"
"""Colours of what is compared against, of ours, and of what stands out."""
GREEN, VIOLET = "#1a7f37", "#8250df"
"""Further colours, where a plot has more lines."""


def panels(count: int, *, width: float = 4.2, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A row of axes with light grids; sizes in inches per panel."""
    figure, grid = pyplot.subplots(
        1, count, figsize=(width * count, height), squeeze=False, layout="constrained"
    )
    row = list(grid[0])
    for axes in row:
        axes.grid(True, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure, row


def error_bars(spreads: Iterable[Spread]) -> list[list[float]]:
    """Of matplotlib's kind: how far each spread reaches below its median, and above it."""
    reaches = [(spread.median - spread.low, spread.high - spread.median) for spread in spreads]
    return [[below for below, _ in reaches], [above for _, above in reaches]]


def save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=144)
    pyplot.close(figure)
    return path
