"""The soak's picture: memory and file descriptors of the gateway over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtest.measure.plots import ACCENT, CANDIDATE, panels, save
from loadtest.measure.process_samples import ProcessSample
from loadtest.soak.growth import Growth


def plot_growth(
    path: Path, samples: Sequence[ProcessSample], *, memory: Growth, descriptors: Growth
) -> Path:
    """Two panels over minutes; the line that was fitted begins where the warm-up ends."""
    figure, (left, right) = panels(2, width=5.5)
    start = samples[0].at
    minutes = [(sample.at - start) / 60 for sample in samples]
    for axes, values, growth, label in (
        (left, [sample.rss_mb for sample in samples], memory, "resident memory, MiB"),
        (right, [sample.descriptors for sample in samples], descriptors, "file descriptors"),
    ):
        axes.plot(minutes, values, color=CANDIDATE, linewidth=1)
        line = [growth.begin, growth.end]
        axes.plot(
            [(at - start) / 60 for at in line],
            [growth.at(at) for at in line],
            color=ACCENT,
            linewidth=1.5,
            label=f"{growth.per_hour:+.2f} per hour",
        )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes since the first caller", fontsize=9)
        axes.set_ylabel(label, fontsize=9)
        axes.legend(fontsize=8, loc="lower right", frameon=False)
    caption = (
        "Blue: the gateway's process. Orange: the line that was fitted after the warm-up, "
        "with its slope."
    )
    return save(figure, path, caption=caption)
