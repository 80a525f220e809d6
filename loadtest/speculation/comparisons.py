"""From single answers to figures: each variant on each link, against server-only streaming."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from loadtest.measure.statistics import Spread, median_ratio, p99_ratio, percentile
from loadtest.speculation.agreements import DrafterAgreements
from loadtest.speculation.ideal.race import RaceTimes
from loadtest.speculation.links import Sample
from loadtest.speculation.plan import (
    A80,
    CONTROL,
    DIRECT,
    RATE_MB_S,
    SERVER_ONLY,
    DraftConfig,
    LinkPlan,
    Variant,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkComparison:
    """A variant on one link, compared with server-only streaming. Times in ms.

    `ratio` and `p99` are server-only TPOT over that of the variant, `answer` is the same of whole
    answers' times: above 1 is faster. `mismatches` counts answers whose ids differ from those of
    the engine alone, `degraded` those that the device had to finish by itself. `ideal` is the ratio
    that the ideal race would have over the same answers, `share` the measured one of it; None where
    that is not known. `drafted_step_ms` is the engine's step while it is given drafts.
    """

    link: LinkPlan
    variant: Variant
    answers: int
    step_ms: float
    server_tpot_ms: float
    tpot_ms: float
    ratio: Spread
    p99: Spread
    answer: Spread
    ttft_ms: float
    server_ttft_ms: float
    accepted_share: float | None
    mismatches: int
    degraded: int
    drafted_step_ms: float | None = None
    ideal: float | None = None
    share: Spread | None = None

    @property
    def name(self) -> str:
        variant = self.variant if isinstance(self.variant, str) else self.variant.name
        return f"{self.link.name}, {variant}"

    @property
    def adaptive(self) -> bool:
        return isinstance(self.variant, DraftConfig) and self.variant.adaptive

    @property
    def on_main_rate(self) -> bool:
        """Whether the link has the rate that the final line and the plots are about, and the
        engine its own step."""
        return self.link.rate_mb_s == RATE_MB_S and not self.link.step_ms


def direct_gaps(samples: Iterable[Sample]) -> list[float]:
    """The steps of the engine that is asked directly, in seconds."""
    return [gap for sample in samples if sample.variant == DIRECT for gap in sample.gaps]


def compare_link(
    link: LinkPlan,
    samples: Sequence[Sample],
    drafters: Mapping[str, DrafterAgreements] | None = None,
) -> list[LinkComparison]:
    """Every variant but server-only, with which each is compared round by round.

    `drafters` tell what the ideal race needs; without them it is left out.
    """
    server = {sample.round: sample for sample in samples if sample.variant == SERVER_ONLY}
    steps = direct_gaps(samples)
    step_ms = 1e3 * statistics.median(steps) if steps else float("nan")
    groups: dict[Variant, list[Sample]] = {}
    for sample in samples:
        if sample.variant not in (SERVER_ONLY, DIRECT):
            groups.setdefault(sample.variant, []).append(sample)
    compared = []
    for variant, group in groups.items():
        comparison = _comparison(link, variant, group, server, step_ms)
        if comparison is not None:
            of = drafters.get(variant.drafter) if drafters and _drafts(variant) else None
            compared.append(
                comparison if of is None else _beside_ideal(comparison, group, server, of)
            )
    return compared


def _comparison(
    link: LinkPlan,
    variant: Variant,
    group: Sequence[Sample],
    server: Mapping[int, Sample],
    step_ms: float,
) -> LinkComparison | None:
    pairs = [
        (theirs, sample.tpot)
        for sample in group
        if sample.tpot is not None and (theirs := server[sample.round].tpot) is not None
    ]
    if not pairs:
        return None
    drafted = sum(sample.drafted for sample in group)
    return LinkComparison(
        link=link,
        variant=variant,
        answers=len(group),
        step_ms=step_ms,
        server_tpot_ms=1e3 * statistics.median(theirs for theirs, _ in pairs),
        tpot_ms=1e3 * statistics.median(ours for _, ours in pairs),
        ratio=median_ratio(pairs),
        p99=p99_ratio(pairs),
        answer=median_ratio([(server[sample.round].latency, sample.latency) for sample in group]),
        ttft_ms=1e3 * statistics.median(sample.ttft for sample in group),
        server_ttft_ms=1e3 * statistics.median(server[sample.round].ttft for sample in group),
        accepted_share=sum(sample.accepted for sample in group) / drafted if drafted else None,
        mismatches=sum(not sample.exact for sample in group),
        degraded=sum(sample.degraded for sample in group),
    )


def _drafts(variant: Variant) -> TypeGuard[DraftConfig]:
    return isinstance(variant, DraftConfig)


def _beside_ideal(
    comparison: LinkComparison,
    group: Sequence[Sample],
    server: Mapping[int, Sample],
    drafter: DrafterAgreements,
) -> LinkComparison:
    """The same with the ideal race: over each sample's answer, at the times that were measured."""
    step_s = 1e-3 * comparison.step_ms
    # A chunk may come in two parts, which is no step.
    steps = [gap for sample in group for gap in sample.gaps if gap > step_s / 2]
    drafted_step_s = max(step_s, statistics.median(steps)) if steps else step_s
    round_trip_s = 1e-3 * comparison.link.round_trip_ms
    times = RaceTimes(
        step_s=step_s,
        drafted_step_s=drafted_step_s,
        draft_s=drafter.draft_s,
        round_trip_s=round_trip_s,
        first_s=max(step_s, 1e-3 * comparison.server_ttft_ms - round_trip_s),
    )
    ideals, pairs = [], []
    for sample in group:
        theirs = server[sample.round].tpot
        if sample.tpot is not None and theirs is not None:
            ideals.append(drafter.ideal(sample.prompt, times))
            pairs.append((theirs, sample.tpot * ideals[-1]))
    return replace(
        comparison,
        drafted_step_ms=1e3 * drafted_step_s,
        ideal=statistics.median(ideals),
        share=median_ratio(pairs),
    )


def worst_share(comparisons: Iterable[LinkComparison]) -> LinkComparison | None:
    """The adaptive window at acceptance 0.8 that is furthest from its ideal race; None where none
    is known."""
    known = (each for each in comparisons if each.variant == DraftConfig(A80) and each.share)
    return min(known, key=lambda each: each.share.median if each.share else 0.0, default=None)


def worst_p99(comparisons: Iterable[LinkComparison]) -> LinkComparison:
    """The adaptive configuration whose slowest answers lose most. Raises ValueError without any."""
    return _lowest_p99(comparison for comparison in comparisons if comparison.adaptive)


def worst_control_p99(comparisons: Iterable[LinkComparison]) -> LinkComparison:
    """The same of the control, which shows what chance does. Raises ValueError without any."""
    return _lowest_p99(comparison for comparison in comparisons if comparison.variant == CONTROL)


def _lowest_p99(comparisons: Iterable[LinkComparison]) -> LinkComparison:
    return min(comparisons, key=lambda comparison: comparison.p99.median)


def at(
    comparisons: Iterable[LinkComparison], round_trip_ms: int, variant: Variant
) -> LinkComparison | None:
    """The variant on the link of the main rate with this round trip."""
    for comparison in comparisons:
        if comparison.on_main_rate and comparison.link.round_trip_ms == round_trip_ms:
            if comparison.variant == variant:
                return comparison
    return None


def server_spread(samples: Sequence[Sample]) -> Spread:
    """Server-only TPOT in ms: the median, and the 5th and 95th percentile."""
    times = [1e3 * s.tpot for s in samples if s.variant == SERVER_ONLY and s.tpot is not None]
    return Spread(statistics.median(times), percentile(times, 0.05), percentile(times, 0.95))
