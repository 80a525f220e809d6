"""Two pictures: every way's speed and how much of it is right, and what spoiled drafts leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from loadtest.measure.plots import (
    ACCENT,
    BASELINE,
    CANDIDATE,
    GREEN,
    WHISKERS_95,
    error_bars,
    panels,
    save,
)
from loadtest.tiers.comparisons import WayResult, at
from loadtest.tiers.plan import DRAFTERS, LONG, SPOILED, SPOILED_GOAL, TABLE
from loadtest.tiers.ways import EDGE_CLOUD, Way

BAR = 0.4
COLOURS = {"device-cloud": ACCENT, "device-edge-cloud": CANDIDATE}


def plot(results: Sequence[WayResult], folder: Path) -> None:
    """What of the results is drawn; the short plan spoils no drafts."""
    plot_speeds(results, folder / "tiers-speeds.png")
    if any(result.cell.kind == SPOILED for result in results):
        plot_spoiled(results, folder / "tiers-spoiled.png")


def plot_speeds(results: Sequence[WayResult], path: Path) -> Path:
    """Tokens per second by way: a row for each kind of steps, a panel for each round trip."""
    groups: dict[tuple[str, int], list[WayResult]] = {}
    for result in results:
        if result.cell.kind in (TABLE, LONG) and result.way.name != "device only":
            key = (result.phase.name, result.cell.round_trip_ms)
            groups.setdefault(key, []).append(result)
    phases = list(dict.fromkeys(phase for phase, _ in groups))
    places = sorted({place for _, place in groups})
    figure, grid = panels(len(places), width=4.6, height=3.6, rows=len(phases))
    for number, axes in enumerate(grid):
        phase, place = phases[number // len(places)], places[number % len(places)]
        if (phase, place) in groups:
            _draw_speeds(axes, groups[phase, place])
    grid[0].legend(fontsize=7, loc="upper right")
    caption = (
        "Tokens of whole answers per second, from sending to the end, with the share of right "
        "answers to questions of all kinds at the name. Grey: one tier alone; blue: together. "
        f"{WHISKERS_95.capitalize()}. The device alone is left out: it is far faster, and less "
        "often right."
    )
    return save(figure, path, caption=caption)


def _draw_speeds(axes: Axes, group: Sequence[WayResult]) -> None:
    ways = list(dict.fromkeys(result.way for result in group))
    right = {result.way: result.accuracy for result in group if result.cell.kind == TABLE}
    for offset, kind, alpha, label in (
        (-BAR / 2, TABLE, 0.45, "questions of all kinds"),
        (BAR / 2, LONG, 1.0, "long answers"),
    ):
        shown = [result for result in group if result.cell.kind == kind]
        speeds = [result.tokens_per_s for result in shown]
        axes.barh(
            [ways.index(result.way) + offset for result in shown],
            [speed.median for speed in speeds],
            xerr=error_bars(speeds),
            height=BAR,
            alpha=alpha,
            color=[BASELINE if result.speedup is None else CANDIDATE for result in shown],
            error_kw={"capsize": 2, "linewidth": 0.8},
            label=label,
        )
    names = [f"{way.name}, {100 * right[way]:.0f} %" if way in right else way.name for way in ways]
    axes.set_yticks(range(len(ways)), names)
    axes.invert_yaxis()
    axes.set_xlabel("output tokens per second", fontsize=9)
    axes.set_title(f"{group[0].phase.name},\n{group[0].cell.place}", fontsize=9)


def plot_spoiled(results: Sequence[WayResult], path: Path) -> Path:
    """Speed-up over the cloud alone by the device's acceptance, for one, two and three tiers."""
    groups: dict[tuple[str, int, bool], list[WayResult]] = {}
    for result in results:
        if result.cell.kind == SPOILED:
            emulated = bool(result.phase.steps_ms)
            key = (result.phase.name, result.cell.round_trip_ms, emulated)
            groups.setdefault(key, []).append(result)
    figure, row = panels(len(groups), width=4.0, height=3.6)
    for axes, ((phase, round_trip_ms, emulated), group) in zip(row, groups.items(), strict=True):
        axes.axhline(1.0, color=BASELINE, label="cloud alone")
        for name, colour in COLOURS.items():
            points = [
                (place, result.tpot_ratio)
                for place, drafter in enumerate(DRAFTERS)
                for result in [
                    at(group, SPOILED, round_trip_ms, Way(name, drafter), emulated=emulated)
                ]
                if result is not None and result.tpot_ratio is not None
            ]
            if points:
                axes.errorbar(
                    [place for place, _ in points],
                    [ratio.median for _, ratio in points],
                    yerr=error_bars(ratio for _, ratio in points),
                    color=colour,
                    marker="o",
                    capsize=3,
                    label=name,
                )
        edge = at(group, SPOILED, round_trip_ms, EDGE_CLOUD, emulated=emulated)
        if edge is not None and edge.tpot_ratio is not None:
            axes.axhline(edge.tpot_ratio.median, color=GREEN, linestyle=":", label="edge-cloud")
        axes.axhline(SPOILED_GOAL, color="black", linestyle="--", linewidth=0.8, label="goal")
        axes.set_xticks(range(len(DRAFTERS)), DRAFTERS)
        axes.set_xlabel("share of the device's drafts that is right", fontsize=9)
        axes.set_title(f"{phase},\nedge-cloud RTT {round_trip_ms} ms", fontsize=9)
        axes.set_ylim(bottom=0)
    if row:
        row[0].set_ylabel("speed-up of an output token (TPOT)", fontsize=9)
        for axes in row[1:]:
            axes.set_ylabel("speed-up", fontsize=9)
        row[0].legend(fontsize=7)
    caption = (
        "Median over questions of the cloud's time per output token alone over that of two and "
        f"three tiers, by the device's acceptance. {WHISKERS_95.capitalize()}; dotted: the edge "
        "drafts for the cloud without any device."
    )
    return save(figure, path, caption=caption)
