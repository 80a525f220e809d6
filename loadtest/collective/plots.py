"""Two pictures: who is right how often and at which cost, and what the cascade saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.collective.accuracy import MethodResult
from loadtest.collective.cascade import SavingsPoint, random_routing
from loadtest.collective.plan import BEST, CLOUD, EDGE, EVERYBODY, SELF_MOA, of, without
from loadtest.measure.plots import (
    ACCENT,
    BASELINE,
    CANDIDATE,
    WHISKERS_95,
    error_bars,
    panels,
    save,
)


def plot_accuracy(results: Mapping[str, MethodResult], path: Path) -> Path:
    """Bars of accuracy with intervals: alone, by number of members, one left out."""
    groups = [
        ("each device alone", [f"{member} alone" for member in EVERYBODY], BASELINE),
        ("members, cumulated", [of(n) for n in range(1, len(EVERYBODY) + 1)], CANDIDATE),
        ("one left out", [without(member) for member in EVERYBODY], ACCENT),
        ("for comparison", [SELF_MOA, EDGE, CLOUD], BASELINE),
    ]
    figure, row = panels(len(groups), width=3.0, height=3.8)
    for axes, (title, names, colour) in zip(row, groups, strict=True):
        spreads = [results[name].accuracy for name in names]
        places = range(len(names))
        medians = [spread.median for spread in spreads]
        axes.bar(places, medians, yerr=error_bars(spreads), color=colour, capsize=3)
        axes.set_xticks(list(places), [_short(name) for name in names], rotation=35, ha="right")
        axes.set_title(title, fontsize=9)
        if colour == CANDIDATE:
            axes.set_xlabel("devices that answer together", fontsize=8)
        axes.set_ylim(0, 100)
        axes.set_ylabel("right answers, %", fontsize=9)
    caption = f"Share of the questions that are answered right; {WHISKERS_95}."
    return save(figure, path, caption=caption)


def _short(name: str) -> str:
    """Without what the panel's title says."""
    return name.removesuffix(" alone").removeprefix("collective of ").removeprefix("without ")


def _repeats_another(name: str) -> bool:
    """Whether a method's point is, or is close to, one that is shown: one device is a collective
    of one, and `auto` is best by likelihood here."""
    return name in (of(1), BEST) or name.startswith("without")


def plot_cost(results: Mapping[str, MethodResult], path: Path) -> Path:
    """Accuracy over cost per answer, in tokens of the cloud's model."""
    figure, (axes,) = panels(1, width=7.6, height=5.4)
    shown = {name: result for name, result in results.items() if not _repeats_another(name)}
    for name, result in shown.items():
        colour = CANDIDATE if "collective" in name or "selected" in name else BASELINE
        axes.scatter([result.cost], [result.accuracy.median], color=colour, s=22)
    axes.set_xlabel("cost per answer, tokens of the cloud's model", fontsize=9)
    axes.set_ylabel("right answers, %", fontsize=9)
    axes.set_xlim(0, 1.25 * max(result.cost for result in shown.values()))
    axes.set_ylim(0, 105)
    caption = (
        "Each dot is a way to answer: blue, several devices together; grey, one model or a "
        "vote. A token costs as much as the model is large that wrote it or weighed it."
    )
    points = [(result.cost, result.accuracy.median, name) for name, result in shown.items()]
    return save(figure, path, caption=caption, dots={axes: points})


def plot_cascade(
    curve: Sequence[SavingsPoint], measured: Sequence[SavingsPoint], path: Path
) -> Path:
    """Accuracy against the cloud's over saved cloud tokens: all thresholds, and as it ran."""
    figure, (axes,) = panels(1, width=5.4, height=4.0)
    axes.plot([100 * p.saving for p in curve], [100 * p.ratio for p in curve], color=CANDIDATE,
              label="by confidence, all thresholds")  # fmt: skip
    ends = random_routing(curve)
    axes.plot([100 * p.saving for p in ends], [100 * p.ratio for p in ends], color=BASELINE,
              linestyle="--", label="random routing")  # fmt: skip
    dots = [(100 * p.saving, 100 * p.ratio, p.name) for p in measured]
    axes.scatter([saved for saved, _, _ in dots], [kept for _, kept, _ in dots], color=ACCENT,
                 zorder=3, label="the gateway, as it ran")  # fmt: skip
    axes.axhline(100.0, color="black", linewidth=0.8, label="always the cloud")
    axes.set_xlabel("cloud tokens saved, %", fontsize=9)
    axes.set_ylabel("right answers, % of the cloud's", fontsize=9)
    axes.legend(fontsize=8, loc="lower left")
    caption = (
        "Each dot is a run of the gateway, labelled with the quality that was asked for. The "
        "line is what every threshold of the confidence gives on the same questions."
    )
    return save(figure, path, caption=caption, dots={axes: dots})
