"""One look for all plots: files are written without a display."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BASELINE, CANDIDATE, ACCENT = "#9aa5b1", "#1f6feb", "#d9822b"
"""Colours: of what is compared against, of ours, and of what stands out."""


def panels(count: int, *, width: float = 4.2, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A row of axes with light grids; sizes in inches per panel."""
    figure, axes = pyplot.subplots(
        1, count, figsize=(width * count, height), squeeze=False, layout="constrained"
    )
    row = list(axes[0])
    for one in row:
        one.grid(True, alpha=0.25, linewidth=0.6)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=8)
    return figure, row


def save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=144)
    pyplot.close(figure)
    return path
