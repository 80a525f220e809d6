"""The slow answers of each drafter, over all links together: enough of them for a p99."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.measure.results import Cell as TableCell
from loadtest.measure.results import Table
from loadtest.measure.spread import Spread, percentile
from loadtest.speculation.plan import AUTO, Way
from loadtest.speculation.statistics import p99_ratio
from loadtest.speculation.stops import AGAIN, SERVER_ONLY, Sample

SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Tail:
    """`slowness`: TPOT over the link's median server-only TPOT, at each of SHARES. `ratio` is the
    p99 of server-only over that of this way: below 1 its slow answers are slower."""

    name: str
    answers: int
    slowness: Sequence[float]
    ratio: Spread


def tails(links: Sequence[Sequence[Sample]]) -> list[Tail]:
    """One for each drafter with the adaptive window, and for server-only asked again.

    `links` holds the samples of each link.
    """
    pairs: dict[str, list[tuple[float, float]]] = {}
    for samples in links:
        server = {s.round: s.tpot for s in samples if s.way == SERVER_ONLY and s.tpot is not None}
        usual = statistics.median(server.values())
        for one in samples:
            name = _name(one.way)
            if name is not None and one.tpot is not None and one.round in server:
                pair = (server[one.round] / usual, one.tpot / usual)
                pairs.setdefault(name, []).append(pair)
    return [_tail(name, found) for name, found in pairs.items()]


def _name(way: Way | str) -> str | None:
    if isinstance(way, Way):
        return way.drafter if way.window == AUTO else None
    return way if way == AGAIN else None


def _tail(name: str, pairs: Sequence[tuple[float, float]]) -> Tail:
    ours = [own for _, own in pairs]
    slowness = [percentile(ours, share) for share in SHARES]
    return Tail(name, len(pairs), slowness, p99_ratio(pairs))


def table(found: Sequence[Tail]) -> Table:
    rows: list[Sequence[TableCell]] = [
        [tail.name, tail.answers, *tail.slowness, tail.ratio] for tail in found
    ]
    columns = ("drafts", "answers", "p50", "p95", "p99", "p99 ratio")
    title = (
        "Slow answers over all links: TPOT over the link's median server-only TPOT "
        "(p99 ratio: server-only over this)"
    )
    return Table("tails", title, columns, rows)
