"""The measurements of a run, its tables and notes, and the figures of the final line."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loadtest.measure.machine import versions
from loadtest.measure.results import Cell, Table
from loadtest.measure.statistics import Spread
from loadtest.speculation.comparisons import (
    LinkComparison,
    at,
    direct_gaps,
    server_spread,
    worst_control_p99,
    worst_p99,
    worst_share,
)
from loadtest.speculation.engines import COLOCATED_TOKENS
from loadtest.speculation.links import Prompt, Sample
from loadtest.speculation.plan import (
    A80,
    CO_LOCATED,
    CONTROL,
    GOALS,
    NATURAL,
    RATE_MB_S,
    ROUND_TRIPS_MS,
    SLOW_DRAFT_MS,
    STEP_GOALS,
    DraftConfig,
    LinkPlan,
    Variant,
)
from loadtest.speculation.steps import Prepared
from loadtest.speculation.testbed import Testbed
from loadtest.speculation.tiers import Tiers
from loadtest.speculation.warm_up import PROMPT_TOKENS

KEYS = (
    *(f"tpot_ratio_rtt_{ms}" for ms in ROUND_TRIPS_MS),
    *(f"a80_rtt_{ms}" for ms in ROUND_TRIPS_MS),
    "step_ms", "worst_cell_p99_ratio", "exact_prompts", "mismatches", "device_edge_speedup",
    "ideal_share_worst", "step25_rtt50",
)  # fmt: skip
"""The keys of the final line, in this order."""
IDEAL_COLUMNS = ("step with drafts ms", "ideal ratio", "ratio ÷ ideal")


@dataclass(kw_only=True)
class Measurements:
    """The measurements of all links: comparisons, samples by link, and server-only TPOT by RTT at
    the main rate, in ms. `steps` are the comparisons with emulated steps."""

    comparisons: list[LinkComparison] = field(default_factory=list)
    links: list[list[Sample]] = field(default_factory=list)
    server: dict[int, Spread] = field(default_factory=dict)
    steps: list[LinkComparison] = field(default_factory=list)

    def add(
        self, link: LinkPlan, samples: list[Sample], comparisons: Sequence[LinkComparison]
    ) -> None:
        self.comparisons += comparisons
        self.links.append(samples)
        if link.rate_mb_s == RATE_MB_S:
            self.server[link.round_trip_ms] = server_spread(samples)

    @property
    def samples(self) -> list[Sample]:
        return [sample for samples in self.links for sample in samples]

    @property
    def step_ms(self) -> float:
        """The median step of the engine that is asked directly."""
        return 1e3 * statistics.median(direct_gaps(self.samples))


def exactness(samples: Sequence[Sample], tiers: Tiers, questions: int) -> tuple[int, int]:
    """Prompts whose answers were all the verifier's own ids, and answers that were not."""
    timed: dict[int, bool] = {}
    drafted = [sample for sample in samples if sample.drafts]
    for sample in drafted:
        timed[sample.prompt] = timed.get(sample.prompt, True) and sample.exact
    wrong = sum(tier.different or 0 for tier in tiers.values())
    # The timed prompts may be among the tiers' questions: whichever are more are counted.
    exact = max(sum(timed.values()), questions - wrong)
    return exact, sum(not sample.exact for sample in drafted) + wrong


def final_figures(
    comparisons: Sequence[LinkComparison],
    steps: Sequence[LinkComparison],
    *,
    step_ms: float,
    exact_prompts: int,
    mismatches: int,
    device_edge_speedup: float | None,
) -> dict[str, float | None]:
    """Exactly KEYS, in their order. Ratios above 1 are faster than server-only. `steps` are those
    with emulated steps."""
    figures: list[float | None] = [
        measured.ratio.median if (measured := at(comparisons, ms, DraftConfig(drafter))) else None
        for drafter in (NATURAL, A80)
        for ms in ROUND_TRIPS_MS
    ]
    worst = worst_p99(comparisons).p99.median
    figures += [step_ms, worst, exact_prompts, mismatches, device_edge_speedup]
    figures += ideal_figures([*comparisons, *steps]).values()
    return dict(zip(KEYS, figures, strict=True))


def ideal_figures(comparisons: Sequence[LinkComparison]) -> dict[str, float | None]:
    """The least share of the ideal race at acceptance 0.8, and the ratio of steps of 25 ms at a
    round trip of 50 ms; None where they were not measured."""
    worst = worst_share(comparisons)
    ratios = [
        each.ratio.median
        for each in comparisons
        if (each.link.step_ms, each.link.round_trip_ms) == (25, 50) and each.adaptive
    ]
    return {
        "ideal_share_worst": worst.share.median if worst and worst.share else None,
        "step25_rtt50": ratios[0] if ratios else None,
    }


def notes(
    testbed: Testbed, prompts: Sequence[Prompt], comparisons: Sequence[LinkComparison]
) -> dict[str, str]:
    """Notes on the measurements, for the head of the results."""
    lengths = sorted(len(prompt.ids) for prompt in prompts)
    return {
        "gateway": versions(("uvicorn", "uvloop", "aiohttp", "onnxruntime")),
        "prompts": f"{len(prompts)} held-out questions with the longest answers that end by "
        f"themselves, {lengths[0]} to {lengths[-1]} tokens (at least {PROMPT_TOKENS})",
        "co-located": f"vLLM's draft_model with rill-device, {COLOCATED_TOKENS} draft tokens"
        if testbed.engines.colocated
        else "vLLM's draft_model did not start: see logs/vllm-rill-cloud-colocated.log",
        "worst p99": _worst(worst_p99(comparisons)),
        "worst p99 of server-only asked again": _worst(worst_control_p99(comparisons)),
    }


def _worst(comparison: LinkComparison) -> str:
    p99 = comparison.p99
    return f"{p99.median:.3f} [{p99.low:.3f}–{p99.high:.3f}] at {comparison.name}"


def ratios(comparisons: Sequence[LinkComparison]) -> Table:
    """The adaptive window on every link, with every drafter."""
    columns = (
        "RTT ms", "MB/s", "acceptance", "answers", "engine step ms", "server-only TPOT ms",
        "TPOT ms", "ratio", "goal", *IDEAL_COLUMNS, "p99 ratio", "answer ratio", "TTFT ms",
        "server-only TTFT ms", "drafts accepted %", "mismatches", "degraded",
    )  # fmt: skip
    rows = [
        _row(comparison, adaptive=True)
        for comparison in comparisons
        if comparison.adaptive or comparison.variant == CONTROL
    ]
    title = (
        "TPOT with the adaptive window, against server-only streaming "
        "(ratios above 1: faster; in brackets 95 % bootstrap intervals)"
    )
    return Table(name="ratios", title=title, columns=columns, rows=rows)


def steps(comparisons: Sequence[LinkComparison]) -> Table:
    """Steps of the engine, emulated but for its own, at acceptance 0.8."""
    columns = (
        "step ms", "RTT ms", "answers", "engine step ms", "server-only TPOT ms", "TPOT ms",
        "ratio", "goal", *IDEAL_COLUMNS, "p99 ratio", "mismatches", "degraded",
    )  # fmt: skip
    goals: dict[tuple[float, int], float] = {
        (step_ms, round_trip): goal
        for step_ms, of_step in ((0, GOALS[A80]), *STEP_GOALS.items())
        for round_trip, goal in of_step.items()
    }
    rows: list[Sequence[Cell]] = [
        [
            each.link.step_ms or "own",
            each.link.round_trip_ms,
            each.answers,
            each.step_ms,
            each.server_tpot_ms,
            each.tpot_ms,
            each.ratio,
            goals.get((each.link.step_ms, each.link.round_trip_ms)),
            *_ideal_cells(each),
            each.p99,
            each.mismatches,
            each.degraded,
        ]
        for each in comparisons
        if each.adaptive
    ]
    title = (
        f"TPOT by the engine's step, at acceptance 0.8 and {RATE_MB_S:g} MB/s (where the step is "
        f"emulated, a draft token takes {SLOW_DRAFT_MS:g} ms)"
    )
    return Table(name="steps", title=title, columns=columns, rows=rows)


def _ideal_cells(comparison: LinkComparison) -> Sequence[Cell]:
    """Those of IDEAL_COLUMNS."""
    return [comparison.drafted_step_ms, comparison.ideal, comparison.share]


def windows(comparisons: Sequence[LinkComparison]) -> Table:
    """Fixed windows of the natural drafter, and the co-located baseline."""
    columns = (
        "RTT ms", "MB/s", "window", "answers", "engine step ms", "server-only TPOT ms",
        "TPOT ms", "ratio", *IDEAL_COLUMNS, "p99 ratio", "answer ratio", "TTFT ms",
        "server-only TTFT ms", "drafts accepted %", "mismatches", "degraded",
    )  # fmt: skip
    natural = sorted(
        (comparison for comparison in comparisons if _in_windows(comparison.variant)), key=_order
    )
    rows = [_row(comparison, adaptive=False) for comparison in natural]
    return Table(
        name="windows",
        title="TPOT by draft window, at natural acceptance",
        columns=columns,
        rows=rows,
    )


def _in_windows(variant: Variant) -> bool:
    return variant == CO_LOCATED or (
        isinstance(variant, DraftConfig) and variant.drafter == NATURAL
    )


def _order(comparison: LinkComparison) -> tuple[float, float, float]:
    """Links in turn; their windows by size, then the adaptive one, then the baseline."""
    link, variant = comparison.link, comparison.variant
    if isinstance(variant, str):
        place = 2000.0
    else:
        place = 1000.0 if variant.adaptive else float(variant.window)
    return link.rate_mb_s, link.round_trip_ms, place


def _row(comparison: LinkComparison, *, adaptive: bool) -> Sequence[Cell]:
    link, variant = comparison.link, comparison.variant
    if isinstance(variant, str):
        label, goals = variant, {}
    else:
        label = variant.drafter if adaptive else variant.window
        goals = GOALS.get(variant.drafter, {})
    share = comparison.accepted_share
    return [
        link.round_trip_ms,
        link.rate_mb_s,
        label,
        comparison.answers,
        comparison.step_ms,
        comparison.server_tpot_ms,
        comparison.tpot_ms,
        comparison.ratio,
        *([goals.get(link.round_trip_ms)] if adaptive else []),
        *_ideal_cells(comparison),
        comparison.p99,
        comparison.answer,
        comparison.ttft_ms,
        comparison.server_ttft_ms,
        None if share is None else 100 * share,
        comparison.mismatches,
        comparison.degraded,
    ]


def drafters(prepared: Prepared, learned: Mapping[str, float | None]) -> Table:
    """How each drafter was made, and what acceptance came of it."""
    rows: list[Sequence[Cell]] = [
        [name, share, prepared.acceptance(name), learned.get(name)]
        for name, share in prepared.spoil.items()
    ]
    columns = (
        "drafter", "drafts replaced at random", "acceptance over the prompts' answers",
        "acceptance as the agent measured it",
    )  # fmt: skip
    title = "Drafters: the chance that a draft token is right when all before it are"
    return Table(name="drafters", title=title, columns=columns, rows=rows)
