"""How well confidence is calibrated, and what it buys: reliability, and cost against quality."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from loadtest.measure.plots import (
    ACCENT,
    BASELINE,
    CANDIDATE,
    VIOLET,
    Points,
    panels,
    save,
)

COLOURS = {"logprobs": CANDIDATE, "agreement": ACCENT, "self-check": VIOLET, "mean": CANDIDATE}
GOAL = (60.0, 99.0)


def plot(methods: Mapping[str, Any], path: Path) -> Path:
    figure, (left, right) = panels(2, width=4.6, height=3.8)
    _reliability(left, methods)
    _cost(right, methods)
    caption = (
        "Left: answers in ten groups of equal size by confidence; on the dashed line "
        "confidence is the share that is right, and the error is the mean distance from it. "
        "Right: what every threshold of the confidence spares and keeps; orange lines: the "
        f"goal, {GOAL[0]:g} % spared at {GOAL[1]:g} %."
    )
    return save(figure, path, caption=caption, dots={right: _targets(methods)})


def _targets(methods: Mapping[str, Any]) -> Points:
    """The thresholds of the targets of quality, each with its target."""
    targets = next(iter(methods.values()))["targets"]
    return [
        (100 * point["saving"], 100 * point["ratio"], target) for target, point in targets.items()
    ]


def _reliability(axes: Axes, methods: Mapping[str, Any]) -> None:
    axes.plot([0, 100], [0, 100], color=BASELINE, linewidth=1, linestyle="--", label="perfect")
    for name, report in methods.items():
        bins = report["reliability"]
        error = report["calibration_error"]
        axes.plot(
            [100 * confidence for confidence, *_ in bins],
            [100 * right for _, right, *_ in bins],
            marker="o",
            markersize=4,
            color=COLOURS[name],
            label=f"{name} (error {100 * error:.1f} %)",
        )
    axes.set_xlabel("confidence, mean of a tenth of the answers, %", fontsize=8)
    axes.set_ylabel("right answers of them, %", fontsize=8)
    axes.set_title("Reliability on held-out questions", fontsize=9)
    axes.legend(fontsize=7, loc="upper left")


def _cost(axes: Axes, methods: Mapping[str, Any]) -> None:
    first = next(iter(methods.values()))
    chance = first["random"]
    axes.plot(
        [100 * point["saving"] for point in chance],
        [100 * point["ratio"] for point in chance],
        color=BASELINE,
        linestyle="--",
        label="random routing",
    )
    for name, report in methods.items():
        curve = report["curve"]
        axes.plot(
            [100 * point["saving"] for point in curve],
            [100 * point["ratio"] for point in curve],
            color=COLOURS[name],
            label=name,
        )
    targets = _targets(methods)
    axes.scatter(
        [saving for saving, _, _ in targets],
        [ratio for _, ratio, _ in targets],
        color=CANDIDATE,
        s=18,
        zorder=3,
        label="thresholds of the targets",
    )
    axes.scatter([0], [100], marker="s", color="black", s=22, zorder=3, label="always the top")
    axes.axhline(GOAL[1], color=ACCENT, linewidth=0.8)
    axes.axvline(GOAL[0], color=ACCENT, linewidth=0.8)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("top tier's tokens spared, %", fontsize=8)
    axes.set_ylabel("accuracy, % of the top tier's", fontsize=8)
    axes.set_title("Cost against quality", fontsize=9)
    axes.legend(fontsize=7, loc="lower left")
