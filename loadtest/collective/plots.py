"""Two pictures: who is right how often and at which cost, and what the cascade saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.collective.accuracy import MethodResult
from loadtest.collective.cascade import SavingsPoint, random_routing
from loadtest.collective.plan import BEST, CLOUD, EDGE, EVERYBODY, SELECTED, SELF_MOA, of, without
from loadtest.measure.plots import ACCENT, BASELINE, CANDIDATE, error_bars, panels, save


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
        axes.set_ylim(0, 100)
    row[0].set_ylabel("accuracy, points", fontsize=9)
    return save(figure, path)


def _short(name: str) -> str:
    """Without what the panel's title says."""
    return name.removesuffix(" alone").removeprefix("collective of ").removeprefix("without ")


def _repeats_another(name: str) -> bool:
    """Whether a method's point is, or is close to, one that is shown: one device is a collective
    of one, and `auto` is best by likelihood here."""
    return name in (of(1), BEST) or name.startswith("without")


def plot_cost(results: Mapping[str, MethodResult], path: Path) -> Path:
    """Accuracy over cost per answer, in tokens of the cloud's model."""
    figure, (axes,) = panels(1, width=7.0, height=4.4)
    shown = {name: result for name, result in results.items() if not _repeats_another(name)}
    for name, result in shown.items():
        colour = CANDIDATE if "collective" in name or "selected" in name else BASELINE
        axes.scatter([result.cost], [result.accuracy.median], color=colour, s=22)
        # Most lie on a line that rises to the right: beneath it there is room.
        beneath = colour == CANDIDATE and name != SELECTED
        axes.annotate(name, (result.cost, result.accuracy.median), fontsize=6,
                      xytext=(5, -9 if beneath else 3), textcoords="offset points")  # fmt: skip
    axes.set_xlabel("cost per answer, tokens of the cloud's model", fontsize=9)
    axes.set_ylabel("accuracy, points", fontsize=9)
    axes.set_xlim(0, 1.25 * max(result.cost for result in shown.values()))
    return save(figure, path)


def plot_cascade(
    curve: Sequence[SavingsPoint], measured: Sequence[SavingsPoint], path: Path
) -> Path:
    """Accuracy against the cloud's over saved cloud tokens: all thresholds, and as it ran."""
    figure, (axes,) = panels(1, width=5.4, height=4.0)
    axes.plot([100 * p.saving for p in curve], [p.ratio for p in curve], color=CANDIDATE,
              label="by confidence, all thresholds")  # fmt: skip
    ends = random_routing(curve)
    axes.plot([100 * p.saving for p in ends], [p.ratio for p in ends], color=BASELINE,
              linestyle="--", label="random routing")  # fmt: skip
    axes.scatter([100 * p.saving for p in measured], [p.ratio for p in measured], color=ACCENT,
                 zorder=3, label="the gateway, by quality asked for")  # fmt: skip
    axes.axhline(1.0, color="black", linewidth=0.8, label="always the cloud")
    axes.set_xlabel("cloud tokens saved, %", fontsize=9)
    axes.set_ylabel("accuracy ÷ always-cloud's", fontsize=9)
    axes.legend(fontsize=8)
    return save(figure, path)
