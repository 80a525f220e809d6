"""The report needs nothing beside itself, and says what happened."""

from __future__ import annotations

import re
from pathlib import Path

from loadtest.callers.verdicts import Judgement, Verdict
from loadtest.chaos.outcomes import CallOutcome, table_of_failures, table_of_faults
from loadtest.chaos.plots import plot_timeline
from loadtest.chaos.report import write_report
from loadtest.chaos.schedule import Span
from loadtest.measure.process_samples import ProcessSample, ProcessSeries

SPANS = [Span("engine killed", 3.0, 6.0), Span("Redis <flushed>", 8.0, 8.1)]


def outcome(ended: float, verdict: Verdict = Verdict.RIGHT) -> CallOutcome:
    return CallOutcome(
        kind="chat",
        began=ended - 1.5,
        ended=ended,
        first_s=0.1,
        judgement=Judgement(verdict, "answered with 503" if verdict is Verdict.LOST else ""),
        faults=("engine killed",),
        callers=5,
        calm=False,
        endpoint="127.0.0.1:1",
    )


def test_one_file_with_the_picture_and_the_calls_that_failed(tmp_path: Path) -> None:
    outcomes = [outcome(2.0 + n / 9) for n in range(60)] + [outcome(5.0, Verdict.LOST)]
    samples = [ProcessSample(float(at), 80.0 + at, 40) for at in range(10)]
    picture = plot_timeline(
        tmp_path / "timeline.png",
        spans=SPANS,
        outcomes=outcomes,
        processes=[ProcessSeries("gateway", 1, samples)],
        start=0.0,
    )
    page = write_report(
        tmp_path / "chaos.html",
        title="Faults under load",
        figures={"streams": 61, "lost": 1, "p99_added_s": 0.5},
        passed=False,
        notes={"processor": "a & b"},
        tables=[table_of_faults(outcomes, SPANS), table_of_failures(outcomes, 0.0)],
        picture=picture,
    ).read_text()
    assert "Answers were lost" in page
    assert "answered with 503" in page
    assert "Redis &lt;flushed&gt;" in page and "a &amp; b" in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
