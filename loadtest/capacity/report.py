"""The table of capacity, its notes, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtest.capacity.comparisons import Comparison
from loadtest.capacity.plan import ALL, BUSY_SHARE, FLOOR, GOAL, GOODPUT, LIMIT, CapacityPlan
from loadtest.measure.plots import (
    ACCENT,
    CANDIDATE,
    VIOLET,
    WHISKERS_EXTREMES,
    error_bars,
    panels,
    save,
)
from loadtest.measure.results import Cell, Table

COLUMNS = (
    "step ms at least", "sessions", "drafts", "acceptance", "tokens/s without devices", "tokens/s",
    "ratio", "p95 TPOT ms without devices", "p95 TPOT ms", "ratio at equal p95 TPOT",
    "draft tokens accepted %", "left out %", "step time expected/measured", "mismatches",
)  # fmt: skip
COLOURS = (CANDIDATE, ACCENT, VIOLET)


def table(comparisons: Sequence[Comparison]) -> Table:
    """A row for each load with devices."""
    title = (
        "Output tokens per second of one engine, with devices and without (medians; in brackets "
        "the lowest and highest repetition)"
    )
    return Table(
        name="capacity", title=title, columns=COLUMNS, rows=[_row(row) for row in comparisons]
    )


def _row(comparison: Comparison) -> Sequence[Cell]:
    cell, plain = comparison.cell, comparison.plain
    left = sum(load.counts.get("left_out", 0) for load in cell.loads)
    offered = sum(load.counts.get("offered", 0) for load in cell.loads)
    accepted = cell.share("accepted", "offered")
    return [
        cell.step_ms,
        cell.sessions,
        cell.variant.choice,
        cell.variant.acceptance,
        plain.tokens_per_s,
        cell.tokens_per_s,
        comparison.same,
        1e3 * plain.p95_tpot_s,
        1e3 * cell.p95_tpot_s,
        comparison.equal_p95,
        None if accepted is None else 100 * accepted,
        100 * left / (left + offered) if left + offered else 0.0,
        cell.share("expected_us", "step_us"),
        sum(load.mismatches for load in cell.loads),
    ]


def notes(plan: CapacityPlan) -> dict[str, str]:
    """How it was measured, and what of it is emulated."""
    pace = plan.pace
    return {
        "engine": f"rill-cloud on a core of its own, at most {LIMIT} sessions; a client beside it",
        "devices": "emulated by the client, straight to the engine's mailbox: the true continuation"
        f" with wrong tokens, {1e3 * pace.draft_s:g} ms a token, round trip "
        f"{1e3 * pace.round_trip_s:g} ms, {pace.window} tokens ahead",
        "steps": "0: as they are; else emulated by a wait inside each step, so that drafts' rows "
        "cost little beside it, as with a larger model whose step is bound by memory",
        "answers": f"{plan.max_tokens} tokens each, greedy, in a closed loop of {plan.seconds:g} s",
    }


def plot(comparisons: Sequence[Comparison], path: Path) -> Path:
    """The ratio at the same sessions: a panel for each step, a line for each acceptance."""
    steps = sorted({comparison.cell.step_ms for comparison in comparisons})
    shares = sorted({c.cell.variant.acceptance for c in comparisons}, reverse=True)
    counts = sorted({comparison.cell.sessions for comparison in comparisons})
    figure, row = panels(len(steps), width=5.0, height=4.0)
    for axes, step_ms in zip(row, steps, strict=True):
        axes.axhline(1.0, color="black", linewidth=0.8)
        axes.axhline(GOAL, xmin=0.0, color="black", linestyle=":", linewidth=0.8)
        axes.axvline(BUSY_SHARE * LIMIT, color="black", linestyle=":", linewidth=0.8)
        for share, colour in zip(shares, COLOURS, strict=False):
            for choice, style in ((GOODPUT, "-"), (ALL, "--")):
                line = [
                    c
                    for c in comparisons
                    if (c.cell.step_ms, c.cell.variant.acceptance) == (step_ms, share)
                    and c.cell.variant.choice == choice
                ]
                axes.errorbar(
                    [c.cell.sessions for c in line],
                    [c.same.median for c in line],
                    yerr=error_bars(c.same for c in line),
                    color=colour,
                    linestyle=style,
                    marker="o",
                    capsize=3,
                    label=f"{share:g}, {choice}" if axes is row[0] else None,
                )
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("sessions at a time", fontsize=9)
        axes.set_ylabel("output tokens/s over those without devices", fontsize=9)
        axes.set_title("steps as they are" if not step_ms else f"steps of {step_ms:g} ms and more")
    figure.legend(title="share of drafts that is right", fontsize=8, title_fontsize=8,
                  loc="outside upper center", ncols=len(shares))  # fmt: skip
    caption = (
        f"One engine, the same sessions with drafts and without; above 1, drafts help; never below "
        f"{FLOOR:g} is the floor. Solid: the engine chooses the drafts that pay; dashed: it "
        f"verifies all. Dotted: the goal, from {BUSY_SHARE:.0%} of {LIMIT} sessions on. "
        f"{WHISKERS_EXTREMES.capitalize()}."
    )
    return save(figure, path, caption=caption)
