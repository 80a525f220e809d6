"""The loss of each exit, the accuracy of members by task and by first question, of specialists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from services.model_family.members import TIERS, member

COLOURS = ("#7aa6c2", "#2f6f9f", "#0b2f4f")


def plot_losses(log: Path, target: Path, smoothing: float = 0.9) -> None:
    """``log`` is a run's ``log.jsonl``; curves are running means over its lines."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for index, (tier, colour) in enumerate(zip(TIERS, COLOURS, strict=True)):
        mean, curve = lines[0]["losses"][index], []
        for line in lines:
            mean = smoothing * mean + (1 - smoothing) * line["losses"][index]
            curve.append(mean)
        axes.plot([line["tokens"] / 1e6 for line in lines], curve, color=colour, label=member(tier))
    axes.set(yscale="log", xlabel="training tokens (millions)", ylabel="nats per answer token")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def plot_accuracy(figures: Mapping[str, Any], target: Path) -> None:
    """Bars of each member by task."""
    plot_members(
        figures["tasks"], figures["accuracy"], "exact match on held-out questions (%)", target
    )


def plot_first_questions(figures: Mapping[str, Any], target: Path) -> None:
    """Bars of each member by kind of first question."""
    plot_members(figures["kinds"], figures["right"], "right answers to first questions (%)", target)


def plot_members(
    rows: Mapping[str, Mapping[str, float]], overall: Mapping[str, float], label: str, target: Path
) -> None:
    """``rows`` and ``overall`` hold shares by tier; a bar for each tier in each row."""
    names = list(rows)
    figure, axes = pyplot.subplots(figsize=(8, 1 + 0.25 * len(names)))
    for index, (tier, colour) in enumerate(zip(TIERS, COLOURS, strict=True)):
        shares = [100 * rows[name][tier] for name in names]
        places = [place + (index - 1) * 0.27 for place in range(len(names))]
        legend = f"{member(tier)} ({100 * overall[tier]:.0f} % overall)"
        axes.barh(places, shares, height=0.25, color=colour, label=legend)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel=label, xlim=(0, 100))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def plot_specialists(figures: Mapping[str, Any], target: Path) -> None:
    """A heat map: a row for each member, a column for each group of tasks."""
    groups = list(figures["groups"])
    members = [name for name in figures["groups"][groups[0]] if name != "examples"]
    shares = [[100 * figures["groups"][group][name] for group in groups] for name in members]
    figure, axes = pyplot.subplots(figsize=(8, 3.4))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(groups)), groups)
    axes.set_yticks(range(len(members)), members)
    for row, line in enumerate(shares):
        for column, value in enumerate(line):
            colour = "white" if value > 55 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour)
    axes.set_title("exact match on held-out questions (%)", fontsize=10)
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
