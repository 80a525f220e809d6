"""Two pictures: what drafting gains on which link, and TPOT by the draft window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.measure.plots import (
    ACCENT,
    BASELINE,
    CANDIDATE,
    GREEN,
    VIOLET,
    WHISKERS_95,
    error_bars,
    panels,
    save,
)
from loadtest.measure.statistics import Spread
from loadtest.speculation.comparisons import LinkComparison, at
from loadtest.speculation.plan import (
    A30,
    A80,
    CO_LOCATED,
    GOALS,
    NATURAL,
    RATE_MB_S,
    ROUND_TRIPS_MS,
    USELESS,
    DraftConfig,
)

COLOURS = {NATURAL: CANDIDATE, A80: ACCENT, A30: VIOLET, USELESS: BASELINE}


def plot_ratios(comparisons: Sequence[LinkComparison], path: Path) -> Path:
    """Ratio of TPOT against RTT, one line per drafter, with the goals as marks."""
    figure, (axes,) = panels(1, width=6.0, height=4.0)
    axes.axhline(1.0, color="black", linewidth=0.8)
    for drafter, colour in COLOURS.items():
        found = {ms: at(comparisons, ms, DraftConfig(drafter)) for ms in ROUND_TRIPS_MS}
        points = [(ms, each.ratio) for ms, each in found.items() if each is not None]
        if not points:
            continue
        ideals = {ms: each.ideal for ms, each in found.items() if each is not None and each.ideal}
        axes.plot(list(ideals), list(ideals.values()), color=colour, linestyle=":", linewidth=1.0)
        times = [ms for ms, _ in points]
        medians = [ratio.median for _, ratio in points]
        error = error_bars(ratio for _, ratio in points)
        axes.errorbar(
            times, medians, yerr=error, color=colour, marker="o", capsize=3, label=drafter
        )
        if goals := GOALS.get(drafter):
            axes.scatter(list(goals), list(goals.values()), marker="_", s=260, color=colour)
    axes.set_xlabel("round-trip time of the link, ms", fontsize=9)
    axes.set_ylabel("speed-up of an output token (TPOT)", fontsize=9)
    axes.set_title(f"{RATE_MB_S:g} MB/s, adaptive window", fontsize=9)
    axes.set_xscale("log")
    axes.set_xticks(ROUND_TRIPS_MS, [str(ms) for ms in ROUND_TRIPS_MS])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    title = "share of the drafts that is right"
    figure.legend(
        title=title, fontsize=8, title_fontsize=8, loc="outside upper center", ncols=len(COLOURS)
    )
    caption = (
        "Median over prompts of server-only time per output token over that with drafts from "
        f"a device: above 1, drafts help. {WHISKERS_95.capitalize()}; loose horizontal "
        "strokes: goals, dotted: the ideal race, each in the colour of its line."
    )
    return save(figure, path, caption=caption)


def plot_windows(
    comparisons: Sequence[LinkComparison], server: Mapping[int, Spread], path: Path
) -> Path:
    """TPOT over the draft window beside the server-only line; `server` is that by RTT, in ms."""
    swept = [ms for ms in ROUND_TRIPS_MS if _sweep(comparisons, ms)]
    figure, row = panels(len(swept), width=3.6, height=3.4)
    for axes, ms in zip(row, swept, strict=True):
        points = _sweep(comparisons, ms)
        axes.axhline(server[ms].median, color=BASELINE, label="server only")
        axes.axhspan(server[ms].low, server[ms].high, color=BASELINE, alpha=0.2, linewidth=0)
        places = range(len(points))
        axes.plot(places, [c.tpot_ms for _, c in points], color=CANDIDATE, marker="o", label="ours")
        if (adaptive := at(comparisons, ms, DraftConfig(NATURAL))) is not None:
            axes.axhline(adaptive.tpot_ms, color=CANDIDATE, linestyle="--", label="ours, adaptive")
        if (colocated := at(comparisons, ms, CO_LOCATED)) is not None:
            axes.axhline(colocated.tpot_ms, color=GREEN, linestyle=":", label="co-located")
        axes.set_xticks(list(places), [str(window) for window, _ in points])
        axes.set_title(f"RTT {ms} ms, {RATE_MB_S:g} MB/s", fontsize=9)
        axes.set_xlabel("draft window, tokens", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("time per output token, ms", fontsize=9)
    if row:
        row[0].legend(fontsize=7)
    caption = (
        "Median over prompts, by how many tokens a device drafts ahead. Grey band: 5th to "
        "95th percentile of the prompts, server only. Dashed: the window that the device "
        "chooses itself; dotted: vLLM's own speculation inside the engine."
    )
    return save(figure, path, caption=caption)


def _sweep(
    comparisons: Sequence[LinkComparison], round_trip_ms: int
) -> list[tuple[int, LinkComparison]]:
    """The natural drafter's fixed windows on one link, by window."""
    return sorted(
        (
            (int(comparison.variant.window), comparison)
            for comparison in comparisons
            if isinstance(comparison.variant, DraftConfig)
            and comparison.variant.drafter == NATURAL
            and not comparison.variant.adaptive
            and comparison.on_main_rate
            and comparison.link.round_trip_ms == round_trip_ms
        ),
        key=lambda point: point[0],
    )
