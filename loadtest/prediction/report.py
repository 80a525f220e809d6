"""The results of predicted texts: a table, a plot, and the figures of the final line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from loadtest.measure.plots import (
    ACCENT,
    CANDIDATE,
    WHISKERS_EXTREMES,
    error_bars,
    panels,
    save,
)
from loadtest.measure.results import Table
from loadtest.measure.statistics import Spread
from loadtest.prediction.answers import EditQuestion, Pass, Way, speed_up
from loadtest.prediction.plan import GOALS, SHARES, PredictionPlan


def tables(questions: Sequence[EditQuestion], passes: Mapping[Way, Sequence[Pass]]) -> list[Table]:
    plain = passes[None]
    rows: list[Sequence[Spread | float | str | None]] = [
        ("nothing is predicted", None, _milliseconds(plain), None, None)
    ]
    for share in SHARES:
        chosen = passes[share]
        kept = f"{share:.0%} of the lines"
        goal = GOALS.get(share)
        rows.append((kept, goal, _milliseconds(chosen), speed_up(chosen, plain), _wrong(chosen)))
    columns = ("kept of the predicted text", "goal", "TPOT (ms)", "times as fast", "mismatches")
    title = f"Predicted texts, {len(questions)} edits of code by rill-cloud"
    return [Table(name="ratios", title=title, columns=columns, rows=rows)]


def notes(questions: Sequence[EditQuestion], plan: PredictionPlan) -> dict[str, str]:
    tokens = [question.answer.count for question in questions]
    return {
        "answers": f"{len(tokens)}, of {min(tokens)} to {max(tokens)} tokens, "
        f"median {median(tokens):g}",
        "repetitions": f"{plan.repetitions}, in turn; spreads are the lowest and the highest",
    }


def final_figures(passes: Mapping[Way, Sequence[Pass]]) -> dict[str, float | None]:
    plain = passes[None]
    figures: dict[str, float | None] = {
        f"prediction_{round(100 * share)}": speed_up(passes[share], plain).median for share in GOALS
    }
    return {**figures, "mismatches": sum(_wrong(each) for each in passes.values())}


def plot(passes: Mapping[Way, Sequence[Pass]], path: Path) -> Path:
    figure, (axes,) = panels(1, width=5.0)
    shares = sorted(SHARES)
    spreads = [speed_up(passes[share], passes[None]) for share in shares]
    kept = [100 * share for share in shares]
    axes.errorbar(
        kept,
        [spread.median for spread in spreads],
        yerr=error_bars(spreads),
        marker="o",
        color=CANDIDATE,
        label="measured",
    )
    goals = sorted(GOALS)
    axes.plot([100 * share for share in goals], [GOALS[share] for share in goals], "_",
              color=ACCENT, markersize=14, label="goal")  # fmt: skip
    axes.set_xlabel("lines of the predicted text that the answer has (%)")
    axes.set_ylabel("times as fast as without")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    caption = (
        "Time for each output token without a predicted text, divided by that with one. "
        + WHISKERS_EXTREMES
        + "."
    )
    return save(figure, path, caption=caption)


def _milliseconds(passes: Sequence[Pass]) -> Spread:
    return Spread.of(1e3 * one.tpot for one in passes)


def _wrong(passes: Sequence[Pass]) -> int:
    return sum(one.mismatches for one in passes)
