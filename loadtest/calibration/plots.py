"""How well confidence is calibrated, and what it buys: reliability, and cost against quality."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from loadtest.measure.plots import ACCENT, BASELINE, CANDIDATE, VIOLET, panels, save

COLOURS = {"logprobs": CANDIDATE, "agreement": ACCENT, "self-check": VIOLET, "mean": CANDIDATE}
GOAL = (60.0, 99.0)


def plot(methods: Mapping[str, Any], path: Path) -> Path:
    figure, (left, right) = panels(2, width=4.6, height=3.8)
    _reliability(left, methods)
    _cost(right, methods)
    return save(figure, path)


def _reliability(axes: Axes, methods: Mapping[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], color=BASELINE, linewidth=1, linestyle="--", label="perfect")
    for name, report in methods.items():
        bins = report["reliability"]
        error = report["calibration_error"]
        axes.plot(
            [confidence for confidence, *_ in bins],
            [right for _, right, *_ in bins],
            marker="o",
            markersize=4,
            color=COLOURS[name],
            label=f"{name} (error {100 * error:.1f} points)",
        )
    axes.set_xlabel("confidence, mean of a tenth of the answers", fontsize=8)
    axes.set_ylabel("share of them that is right", fontsize=8)
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
    targets = first["targets"]
    axes.scatter(
        [100 * point["saving"] for point in targets.values()],
        [100 * point["ratio"] for point in targets.values()],
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
    axes.set_title("Cost against quality (lines: the goal)", fontsize=9)
    axes.legend(fontsize=7, loc="lower left")
