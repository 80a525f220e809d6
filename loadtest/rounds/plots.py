"""One picture: what is chosen, over what rounds alone give."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from loadtest.measure.plots import (
    ACCENT,
    BASELINE,
    CANDIDATE,
    WHISKERS_95,
    error_bars,
    panels,
    save,
)
from loadtest.rounds.measurement import CellResult
from loadtest.rounds.testbed import ALWAYS, AUTO


def plot_choices(results: Sequence[CellResult], path: Path) -> Path:
    """A panel for each engine: what was chosen, over what rounds alone give."""
    steps = sorted({result.step_ms for result in results})
    figure, row = panels(len(steps), width=4.2, height=3.8)
    for axes, step_ms in zip(row, steps, strict=True):
        of_step = [result for result in results if result.step_ms == step_ms]
        always = [result.ratio(ALWAYS) for result in of_step]
        chosen = [result.ratio(AUTO) for result in of_step]
        for spreads, rounds in ((chosen, True), (chosen, False)):
            points = [
                (a, c)
                for a, c, result in zip(always, spreads, of_step, strict=True)
                if (result.from_rounds >= 0.5) is rounds
            ]
            if points:
                axes.errorbar(
                    [a.median for a, _ in points],
                    [c.median for _, c in points],
                    yerr=error_bars(c for _, c in points),
                    fmt="o",
                    capsize=2,
                    color=CANDIDATE if rounds else ACCENT,
                    label="mostly rounds" if rounds else "mostly the stream",
                )
        most = max(spread.median for spread in always)
        axes.plot([1.0, max(1.0, most)], [1.0, max(1.0, most)], color=BASELINE, linewidth=0.8)
        axes.axhline(1.0, color=BASELINE, linewidth=0.8)
        axes.set_xlabel("speed-up by rounds alone", fontsize=9)
        axes.set_ylabel("speed-up as chosen", fontsize=9)
        plain = statistics.median(result.plain_ms for result in of_step)
        axes.set_title(f"stream: {plain:.0f} ms a token", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7)
    caption = (
        "Each dot is a cell of the table: the plain stream's time per output token over that of "
        "the answers, whose drafts are all checked in rounds (across) or where the gateway chooses "
        f"(up). Grey: the better of both. {WHISKERS_95.capitalize()}."
    )
    return save(figure, path, caption=caption)
