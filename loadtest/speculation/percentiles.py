"""Percentiles of TPOT for each drafter, over all links together: enough answers for a p99."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.measure.results import Cell, Table
from loadtest.measure.statistics import Spread, p99_ratio, percentile
from loadtest.speculation.links import Sample
from loadtest.speculation.plan import CONTROL, SERVER_ONLY, DraftConfig, Variant

SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class TpotPercentiles:
    """The TPOT of one drafter over all links.

    `slowness` is TPOT over the link's median server-only TPOT, at each of SHARES. `ratio` is the
    p99 of server-only over that of the drafter: below 1 its slow answers are slower.
    """

    name: str
    answers: int
    slowness: Sequence[float]
    ratio: Spread


def tpot_percentiles(links: Sequence[Sequence[Sample]]) -> list[TpotPercentiles]:
    """One for each drafter with the adaptive window, and for the control.

    `links` holds the samples of each link.
    """
    pairs: dict[str, list[tuple[float, float]]] = {}
    for samples in links:
        server = {
            sample.round: sample.tpot
            for sample in samples
            if sample.variant == SERVER_ONLY and sample.tpot is not None
        }
        usual = statistics.median(server.values())
        for sample in samples:
            name = _name(sample.variant)
            if name is not None and sample.tpot is not None and sample.round in server:
                pair = (server[sample.round] / usual, sample.tpot / usual)
                pairs.setdefault(name, []).append(pair)
    return [_percentiles(name, compared) for name, compared in pairs.items()]


def _name(variant: Variant) -> str | None:
    if isinstance(variant, DraftConfig):
        return variant.drafter if variant.adaptive else None
    return variant if variant == CONTROL else None


def _percentiles(name: str, pairs: Sequence[tuple[float, float]]) -> TpotPercentiles:
    ours = [own for _, own in pairs]
    slowness = [percentile(ours, share) for share in SHARES]
    return TpotPercentiles(name=name, answers=len(pairs), slowness=slowness, ratio=p99_ratio(pairs))


def table(percentiles: Sequence[TpotPercentiles]) -> Table:
    rows: list[Sequence[Cell]] = [
        [row.name, row.answers, *row.slowness, row.ratio] for row in percentiles
    ]
    columns = ("drafts", "answers", "p50", "p95", "p99", "p99 ratio")
    title = (
        "Slow answers over all links: TPOT over the link's median server-only TPOT "
        "(p99 ratio: server-only over this)"
    )
    return Table(name="tails", title=title, columns=columns, rows=rows)
