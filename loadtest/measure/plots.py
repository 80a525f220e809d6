"""One look for all plots: files are written without a display, and each explains itself.

A plot has labels on its axes and a caption, which says what is shown, what whiskers and bands are,
and where an axis does not begin at zero.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from loadtest.measure.statistics import Spread

BASELINE, CANDIDATE, ACCENT = "#9aa5b1", "#1f6feb", "#d9822b"
"""Colours of what is compared against, of ours, and of what stands out."""
GREEN, VIOLET = "#1a7f37", "#8250df"
"""Further colours, where a plot has more lines."""


def panels(
    count: int, *, width: float = 4.2, height: float = 3.4, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """Axes with light grids, `count` in each of the rows; sizes in inches per panel."""
    figure, grid = pyplot.subplots(
        rows, count, figsize=(width * count, height * rows), squeeze=False, layout="constrained"
    )
    row = list(grid.flat)
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


WHISKERS_95 = "whiskers: 95 % bootstrap interval"
WHISKERS_EXTREMES = "whiskers: lowest and highest repetition"
CAPTION_SIZE = 7
CHARACTERS_PER_INCH = 19
"""Of a caption."""
DIRECTIONS = ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
FAR = (1, 2, 3, 4)
"""Where a label may stand, seen from its dot, and how many steps away; the first free place is
taken. Beyond the first step a line joins it to its dot."""
STEP = 4.0
"""Points beyond the edge of a dot."""

Points = Sequence[tuple[float, float, str]]
"""Each with its label."""


class PlotIncomplete(ValueError):
    """A plot that leaves out what its reader needs."""


def save(
    figure: Figure, path: Path, *, caption: str, dots: Mapping[Axes, Points] | None = None
) -> Path:
    """Write the figure with its caption; `dots` are labelled where there is room for it.

    Raises PlotIncomplete for an axis without a label, or whiskers that the caption does not
    explain.
    """
    _check(figure, caption)
    text = " ".join([caption, *_beginnings(figure)])
    width = int(CHARACTERS_PER_INCH * figure.get_figwidth())
    below = "\n".join(textwrap.wrap(text, width))
    figure.supxlabel(below, x=0.01, ha="left", fontsize=CAPTION_SIZE, color="#57606a")
    for axes, points in (dots or {}).items():
        label_dots(axes, points)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=144)
    pyplot.close(figure)
    return path


def label_dots(axes: Axes, points: Points) -> list[Annotation]:
    """A label beside each dot, not over another label, a dot or a whisker where that can be."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    inside = axes.get_window_extent()
    areas = [area for drawn in axes.collections for area in getattr(drawn, "get_sizes", list)()]
    radius = max(areas, default=9.0) ** 0.5 / 2
    pixels = radius * figure.dpi / 72
    taken = _whiskers(axes)
    for x, y, _ in points:
        across, up = axes.transData.transform((x, y))
        taken.append(Bbox.from_bounds(across - pixels, up - pixels, 2 * pixels, 2 * pixels))
    labels = []
    for x, y, text in points:
        label = axes.annotate(
            text, (x, y), (0, 0), textcoords="offset points", fontsize=7,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": BASELINE},
        )  # fmt: skip
        for far, (right, up) in product(FAR, DIRECTIONS):
            away = radius + STEP * far
            label.set_position((right * away, up * away))
            label.set_horizontalalignment("left" if right > 0 else "right" if right else "center")
            label.set_verticalalignment("center" if right else "bottom" if up > 0 else "top")
            box = words_box(label)
            within = inside.x0 <= box.x0 and box.x1 <= inside.x1
            if within and not any(box.overlaps(other) for other in taken):
                break
        taken.append(words_box(label))
        if far == FAR[0] and label.arrow_patch is not None:
            label.arrow_patch.set_visible(False)
        labels.append(label)
    return labels


def _whiskers(axes: Axes) -> list[Bbox]:
    """Where they are, in pixels."""
    bars = [drawn for drawn in axes.containers if isinstance(drawn, ErrorbarContainer)]
    segments = [
        segment for bar in bars for lines in bar.lines[2] for segment in lines.get_segments()
    ]
    return [Bbox(axes.transData.transform(segment)).padded(2) for segment in segments]


def words_box(label: Annotation) -> Bbox:
    """Where its words are, in pixels; its line is left out."""
    figure = label.figure
    assert isinstance(figure, Figure)
    renderer = figure._get_renderer()  # type: ignore[attr-defined]
    label.update_positions(renderer)
    return Text.get_window_extent(label, renderer)


def _check(figure: Figure, caption: str) -> None:
    """Raises PlotIncomplete."""
    if not caption.strip():
        raise PlotIncomplete("a plot needs a caption")
    for axes in figure.axes:
        for name, group in (("x", axes.get_shared_x_axes()), ("y", axes.get_shared_y_axes())):
            if not any(_says(other, name) for other in group.get_siblings(axes)):
                raise PlotIncomplete(f"the {name} axis of {axes.get_title()!r} has no label")
        whiskers = any(isinstance(drawn, ErrorbarContainer) for drawn in axes.containers)
        if whiskers and "whiskers" not in caption.lower():
            raise PlotIncomplete("the caption does not say what the whiskers are")


def _says(axes: Axes, name: str) -> bool:
    """Whether an axis has a label, or names at its ticks instead of numbers."""
    axis = axes.xaxis if name == "x" else axes.yaxis
    return bool(axis.get_label_text()) or _has_names(axis)


def _has_names(axis: Axis) -> bool:
    """Whether names stand at its ticks."""
    ticks = [tick.get_text() for tick in axis.get_ticklabels()]
    return any(tick.strip("\N{MINUS SIGN}.0123456789") for tick in ticks)


def _beginnings(figure: Figure) -> list[str]:
    """Sentences about y axes that do not begin at zero; a scale by powers has no zero."""
    begin = {
        f"{axes.get_ylim()[0]:.4g}"
        for axes in figure.axes
        if axes.get_yscale() == "linear" and axes.get_ylim()[0] > 0 and not _has_names(axes.yaxis)
    }
    return [f"The y axis begins at {' and '.join(sorted(begin, key=float))}."] if begin else []
