"""Every picture that a benchmark draws explains itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from loadtest.bench.plots import plot_overhead, plot_quality
from loadtest.bench.sizes import Size, Speed
from loadtest.calibration.plots import plot as plot_calibration
from loadtest.callers.verdicts import Judgement, Verdict
from loadtest.chaos.outcomes import CallOutcome
from loadtest.chaos.plots import plot_timeline
from loadtest.chaos.schedule import Span
from loadtest.collective.accuracy import MethodResult
from loadtest.collective.cascade import SavingsPoint
from loadtest.collective.plan import Method
from loadtest.collective.plots import plot_accuracy, plot_cascade, plot_cost
from loadtest.keys.benchmark import plot as plot_keys
from loadtest.measure.plots import PlotIncomplete, label_dots, panels, save, words_box
from loadtest.measure.process_samples import ProcessSample, ProcessSeries
from loadtest.measure.repetitions import Comparison
from loadtest.measure.statistics import Spread
from loadtest.poison.observation import Observation
from loadtest.poison.plots import plot_costs
from loadtest.rounds.plots import plot_choices
from loadtest.soak.growth import Growth
from loadtest.soak.plots import plot_growth
from loadtest.speculation.comparisons import compare_link, server_spread
from loadtest.speculation.plan import CO_LOCATED, DRAFTERS, NATURAL, DraftConfig, Variant
from loadtest.speculation.plots import plot_ratios, plot_windows
from loadtest.tiers.plan import SPOILED
from loadtest.tiers.plots import plot, plot_speeds, plot_spoiled
from tests.unit.loadtest.rounds.cells import cells
from tests.unit.loadtest.speculation.samples import LINK, measured
from tests.unit.loadtest.tiers.answers import results

ROOT = Path(__file__).parents[3]
SPREAD = Spread(1.2, 1.0, 1.5)
COSTS = {
    "generalist alone": (1.58, 73.2),
    "mathematics alone": (1.43, 41.8),
    "code alone": (1.81, 23.2),
    "lists alone": (1.42, 30.5),
    "reading alone": (1.23, 16.8),
    "majority vote": (6.86, 58.2),
    "weighted vote": (5.97, 80.9),
    "best by likelihood": (10.86, 89.6),
    "read by the edge's model": (9.41, 75.5),
    "collective of 1": (1.58, 73.2),
    "collective of 2": (4.64, 77.7),
    "collective of 3": (7.66, 84.6),
    "collective of 4": (9.55, 86.8),
    "collective of 5": (10.69, 89.6),
    "collective of 5, revised": (17.34, 89.1),
    "3 selected of 5": (8.07, 89.1),
    "without generalist": (9.32, 81.8),
    "without mathematics": (9.63, 85.5),
    "without code": (9.2, 83.6),
    "without lists": (9.31, 87.7),
    "without reading": (9.39, 86.8),
    "edge": (2.52, 86.8),
    "cloud": (8.2, 96.4),
    "self-moa": (11.37, 78.6),
}
"""What ways to answer cost, and how many of their answers are right: many lie close together."""


def overhead(path: Path) -> None:
    comparison = Comparison(
        figure="answers",
        unit="ms",
        candidate=SPREAD,
        baseline=Spread(0.1, 0.09, 0.12),
        compared=None,
        combine=lambda ours, theirs: ours - theirs,
    )
    plot_overhead({"answer, p50": comparison, "TTFT, p50": comparison}, path)


def keys(path: Path) -> None:
    comparison = Comparison(
        figure="answers",
        unit="ms",
        candidate=SPREAD,
        baseline=SPREAD,
        compared=SPREAD,
        combine=lambda ours, theirs: ours - theirs,
    )
    plot_keys({"answer, c=1: p50, keys in memory": comparison}, path)


def quality(path: Path) -> None:
    figures = [
        ("device", 737_856, 0.69, 0.0120, 0.125),
        ("edge", 1_180_608, 0.87, 0.0116, 0.134),
        ("cloud", 3_837_120, 0.95, 0.0204, 0.220),
    ]
    sizes = [
        Size(
            tier=tier,
            model=f"rill-{tier}",
            parameters=parameters,
            accuracy=accuracy,
            agreement=0.9,
            speeds=[
                Speed(ttft_s=0.03, tpot_s=f * tpot, answer_s=f * whole, tokens_per_s=60.0)
                for f in (0.9, 1.0, 1.1)
            ],
        )
        for tier, parameters, accuracy, tpot, whole in figures
    ]
    plot_quality(sizes, path)


def answered() -> Mapping[str, MethodResult]:
    return {
        name: MethodResult(
            method=Method(name, "tierflow-collective"),
            accuracy=Spread(accuracy, accuracy - 4, min(100.0, accuracy + 4)),
            tokens=10.0,
            cost=cost,
            median_ms=5.0,
            p95_ms=9.0,
            failed=0,
            right=[],
            replies=[],
        )
        for name, (cost, accuracy) in COSTS.items()
    }


def savings(name: str, saving: float, ratio: float) -> SavingsPoint:
    return SavingsPoint(name=name, saving=saving, ratio=ratio, escalated=0.1)


def cascade(path: Path) -> None:
    curve = [savings(f"{s}", s / 100, 1 - (s / 100) ** 6 / 11) for s in range(101)]
    ran = [(0.927, 0.96, "0.95"), (0.899, 0.979, "0.98"), (0.866, 0.998, "0.99")]
    measured = [savings(f"cascade at {name}", s, r) for s, r, name in ran]
    plot_cascade(curve, measured, path)


def speculation(draw: Callable[..., Path], path: Path) -> None:
    windows = [DraftConfig(NATURAL, window) for window in ("1", "8")]
    variants: list[Variant] = [*(DraftConfig(d) for d in DRAFTERS), *windows, CO_LOCATED]
    samples = [sample for variant in variants for sample in measured(2.0, variant)]
    comparisons = compare_link(LINK, samples)
    if draw is plot_ratios:
        draw(comparisons, path)
    else:
        draw(comparisons, {LINK.round_trip_ms: server_spread(samples)}, path)


def soak(path: Path) -> None:
    samples = [ProcessSample(60.0 * at, 80.0 + at % 3, 40) for at in range(60)]
    memory = Growth.of([(sample.at, sample.rss_mb) for sample in samples[20:]])
    plot_growth(path, samples, memory=memory, descriptors=memory)


def poison(path: Path) -> None:
    seen = Observation(status=400, stall_s=0.01, p99_s=0.01, held_s=0.004, cpu_s=0.2, grown_mb=30.0)
    plot_costs(path, [("deep lists", seen), ("escapes", seen)], size_mb=16.0, bound_ms=20.0)


def chaos(path: Path) -> None:
    outcomes = [
        CallOutcome(
            kind="chat",
            began=n / 9,
            ended=2.0 + n / 9,
            first_s=0.1,
            judgement=Judgement(Verdict.RIGHT if n % 7 else Verdict.RETURNED, ""),
            faults=(),
            callers=5,
            calm=False,
            endpoint="127.0.0.1:1",
        )
        for n in range(60)
    ]
    samples = [ProcessSample(float(at), 80.0 + at, 40) for at in range(10)]
    processes = [ProcessSeries("gateway", 1, samples)]
    spans = [Span("engine killed", 3.0, 6.0), Span("state flushed", 8.0, 8.1)]
    plot_timeline(path, spans=spans, outcomes=outcomes, processes=processes, start=0.0)


def calibration(path: Path) -> None:
    curve = [{"saving": s / 100, "ratio": 1 - (s / 100) ** 6 / 11} for s in range(101)]
    report: dict[str, Any] = {
        "reliability": [(n / 10, n / 10, 30) for n in range(1, 10)],
        "calibration_error": 0.02,
        "curve": curve,
        "random": [{"saving": 0.0, "ratio": 1.0}, {"saving": 1.0, "ratio": 0.91}],
        "targets": {
            "0.95": {"saving": 0.93, "ratio": 0.95},
            "0.98": {"saving": 0.90, "ratio": 0.98},
            "0.99": {"saving": 0.87, "ratio": 0.99},
        },
    }
    plot_calibration({"logprobs": report, "agreement": report}, path)


PICTURES: Mapping[str, Callable[[Path], object]] = {
    "overhead": overhead,
    "quality": quality,
    "keys": keys,
    "accuracy": lambda path: plot_accuracy(answered(), path),
    "cost": lambda path: plot_cost(answered(), path),
    "cascade": cascade,
    "ratios": lambda path: speculation(plot_ratios, path),
    "windows": lambda path: speculation(plot_windows, path),
    "speeds": lambda path: plot_speeds(results(), path),
    "spoiled": lambda path: plot_spoiled(results(), path),
    "rounds": lambda path: plot_choices(cells(), path),
    "soak": soak,
    "poison": poison,
    "chaos": chaos,
    "calibration": calibration,
}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that were written."""
    figures: list[Figure] = []
    close = pyplot.close
    monkeypatch.setattr(pyplot, "close", figures.append)
    yield figures
    for figure in figures:
        close(figure)


def test_a_short_run_of_the_tiers_draws_what_it_has(tmp_path: Path) -> None:
    plot([result for result in results() if result.cell.kind != SPOILED], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["tiers-speeds.png"]
    plot(results(), tmp_path)
    assert (tmp_path / "tiers-spoiled.png").exists()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_a_caption_and_no_words_over_others(
    name: str, drawn: list[Figure], tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.png"
    PICTURES[name](path)
    assert path.stat().st_size
    [figure] = drawn
    assert figure.get_supxlabel().strip()
    assert "points" not in " ".join(axes.get_ylabel() for axes in figure.axes)
    for axes in figure.axes:
        words = [child for child in axes.get_children() if isinstance(child, Annotation)]
        boxes = {word.get_text(): words_box(word) for word in words}
        pairs = combinations(boxes, 2)
        assert [pair for pair in pairs if boxes[pair[0]].overlaps(boxes[pair[1]])] == []


def test_every_picture_is_written_by_the_one_function_that_asks_for_a_caption() -> None:
    files = [*(ROOT / "loadtest").rglob("*.py"), *(ROOT / "gateway").rglob("*.py")]
    writing = [file for file in files if "savefig" in file.read_text()]
    assert [str(file.relative_to(ROOT)) for file in writing] == ["loadtest/measure/plots.py"]


def test_every_picture_is_among_these() -> None:
    calls = [
        re.findall(r"\breturn save\(", file.read_text())
        for file in (ROOT / "loadtest").rglob("*.py")
        if file.name != "report.py"
    ]
    assert sum(map(len, calls)) == len(PICTURES)


def test_what_a_reader_needs_is_asked_for(tmp_path: Path) -> None:
    figure, (axes,) = panels(1)
    axes.plot([1, 2], [1, 2])
    with pytest.raises(PlotIncomplete, match="caption"):
        save(figure, tmp_path / "a.png", caption="")
    with pytest.raises(PlotIncomplete, match="the x axis of '' has no label"):
        save(figure, tmp_path / "a.png", caption="Growth.")
    axes.set_xlabel("minutes")
    axes.set_ylabel("MiB")
    axes.errorbar([1], [1], yerr=[[0.5], [0.5]])
    with pytest.raises(PlotIncomplete, match="whiskers"):
        save(figure, tmp_path / "a.png", caption="Growth.")
    assert not (tmp_path / "a.png").exists()


def test_a_caption_says_where_an_axis_begins_if_not_at_zero(
    drawn: list[Figure], tmp_path: Path
) -> None:
    figure, (axes,) = panels(1)
    axes.plot([1, 2], [60, 70])
    axes.set_ylim(50, 80)
    axes.set_xlabel("minutes")
    axes.set_ylabel("MiB")
    save(figure, tmp_path / "a.png", caption="Growth.")
    assert drawn[0].get_supxlabel() == "Growth. The y axis begins at 50."


def test_dots_that_lie_close_together_get_labels_apart() -> None:
    figure, (axes,) = panels(1)
    points = [(1.0, 1.0, "one of them"), (1.01, 1.01, "another"), (1.0, 1.02, "a third")]
    axes.scatter([x for x, _, _ in points], [y for _, y, _ in points])
    axes.set_xlim(0, 2)
    axes.set_ylim(0, 2)
    boxes = [words_box(label) for label in label_dots(axes, points)]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    pyplot.close(figure)
