"""The picture of poisoned bodies: stall, processor time and memory of each shape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtest.measure.plots import ACCENT, CANDIDATE, panels, save
from loadtest.poison.observation import Observation


def plot_costs(
    path: Path, cases: Sequence[tuple[str, Observation]], *, size_mb: float, bound_ms: float
) -> Path:
    """Three panels, a bar for each case; the line is the bound of a stall."""
    figure, axes = panels(3, width=5.0, height=0.22 * len(cases) + 1.5)
    names = [name for name, _ in cases]
    for place, (panel, values, label) in enumerate(
        (
            (axes[0], [1e3 * seen.held_s for _, seen in cases], "longest hold of the loop, ms"),
            (axes[1], [1e3 * seen.cpu_s for _, seen in cases], "the gateway's CPU, ms"),
            (axes[2], [seen.grown_mb / size_mb for _, seen in cases], "memory, times the body"),
        )
    ):
        panel.barh(names, values, color=CANDIDATE, height=0.7)
        panel.invert_yaxis()
        panel.set_xlabel(label, fontsize=9)
        panel.tick_params(labelsize=7)
        if place:
            panel.sharey(axes[0])
            panel.tick_params(labelleft=False)
    axes[0].axvline(bound_ms, color=ACCENT, linewidth=1.2)
    caption = (
        f"What one body of {size_mb:g} MiB of each shape costs the gateway. Orange line: the "
        f"longest hold that is allowed, {bound_ms:g} ms."
    )
    return save(figure, path, caption=caption)
