from pathlib import Path

from loadtest.speculation.comparisons import compare_link, server_spread
from loadtest.speculation.plan import CO_LOCATED, DRAFTERS, NATURAL, DraftConfig, Variant
from loadtest.speculation.plots import plot_ratios, plot_windows
from tests.unit.loadtest.speculation.samples import LINK, measured


def test_the_pictures_are_written(tmp_path: Path) -> None:
    windows = [DraftConfig(NATURAL, window) for window in ("1", "8")]
    adaptive = [DraftConfig(drafter) for drafter in DRAFTERS]
    variants: list[Variant] = [*adaptive, *windows, CO_LOCATED]
    samples = [sample for variant in variants for sample in measured(2.0, variant)]
    comparisons = compare_link(LINK, samples)
    server = {LINK.round_trip_ms: server_spread(samples)}
    assert plot_ratios(comparisons, tmp_path / "ratios.png").stat().st_size
    assert plot_windows(comparisons, server, tmp_path / "windows.png").stat().st_size
