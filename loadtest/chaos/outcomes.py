"""What became of the calls: each with its verdict and the faults of its time, counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtest.callers.caller import Call
from loadtest.callers.verdicts import BAD, Judgement, Verdict, judge
from loadtest.chaos.schedule import CALM, Span
from loadtest.measure.process_samples import ProcessSeries
from loadtest.measure.results import Cell, Table
from loadtest.measure.statistics import percentile

AFTER_LOSS_S = 1.0
"""A connection that ends so soon after its replica was killed ended with it."""
AFTER_FAULT_S = 1.0
"""A call that begins so soon after a fault is counted with it."""
WARM_S = 10.0
"""After this long a process has the memory for its work."""
ENDPOINT = "x-tierflow-endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """A call with its verdict; `faults` were in force while it was under way, or just before.

    `callers` were at work when it began. `calm`: it began in a calm time and met no fault.
    """

    kind: str
    began: float
    ended: float
    first_s: float | None
    judgement: Judgement
    faults: tuple[str, ...]
    callers: int
    calm: bool
    endpoint: str

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosResult:
    """A run: what became of its calls, with the faults and calm times as they happened.

    `processes` are the gateway's, of which those with a pid among `survivors` ran at the end.
    `continued` counts the answers that went on at another engine; `start` is when callers began.
    """

    outcomes: Sequence[CallOutcome]
    spans: Sequence[Span]
    processes: Sequence[ProcessSeries]
    survivors: Sequence[int]
    continued: int
    start: float

    @property
    def passed(self) -> bool:
        return not failures(self.outcomes)

    def figures(self) -> dict[str, float | None]:
        """Those of the final line."""
        counts = verdict_counts(self.outcomes)
        alive = [series for series in self.processes if series.pid in self.survivors]
        return {
            "streams": len(self.outcomes),
            "lost": counts[Verdict.LOST],
            "duplicated": counts[Verdict.DUPLICATED],
            "wrong": counts[Verdict.WRONG],
            "resumed": self.continued + counts[Verdict.RETURNED],
            "p99_added_s": p99_added_s(self.outcomes),
            "rss_growth_mb": max((series.growth_mb(WARM_S) for series in alive), default=0.0),
        }


def outcome_of(
    call: Call,
    spans: Sequence[Span],
    losses: Sequence[float],
    sizes: Sequence[tuple[float, int]],
) -> CallOutcome:
    """`losses` are the moments at which a replica of the gateway was killed, `sizes` those from
    which so many callers were at work."""
    breaks = [a.exchange.done or call.ended for a in call.attempts if a.broken]
    lost = any(0 <= end - loss <= AFTER_LOSS_S for end in breaks for loss in losses)
    if call.stream:
        # It may have been read by way of another replica, which waits for the one that is gone.
        lost = any(call.began <= loss <= call.ended for loss in losses)
    names = [s.name for s in spans if s.overlaps(call.began - AFTER_FAULT_S, call.ended)]
    faults = tuple(name for name in dict.fromkeys(names) if name != CALM)
    return CallOutcome(
        kind=call.question.kind.name,
        began=call.began,
        ended=call.ended,
        first_s=call.first_s,
        judgement=judge(call.question, call.attempts, replica_lost=lost),
        faults=faults,
        callers=next((size for since, size in reversed(sizes) if since <= call.began), 0),
        calm=not faults and any(s.name == CALM and s.begin <= call.began < s.end for s in spans),
        endpoint=call.attempts[-1].exchange.headers.get(ENDPOINT, ""),
    )


def verdict_counts(outcomes: Iterable[CallOutcome]) -> Counter[Verdict]:
    return Counter(outcome.verdict for outcome in outcomes)


def failures(outcomes: Iterable[CallOutcome]) -> list[CallOutcome]:
    """Those that must not be."""
    return [outcome for outcome in outcomes if outcome.verdict in BAD]


def p99_added_s(outcomes: Sequence[CallOutcome]) -> float:
    """The 99th percentile of answers' times, less that of the calm time with as many callers: the
    largest difference over the numbers of callers that had a calm time."""
    added = [0.0]
    for callers in {outcome.callers for outcome in outcomes if outcome.calm}:
        alike = [outcome for outcome in outcomes if outcome.callers == callers]
        faulty = [outcome for outcome in alike if outcome.faults]
        if faulty:
            added.append(p99_s(faulty) - p99_s([outcome for outcome in alike if outcome.calm]))
    return max(added)


def p99_s(outcomes: Sequence[CallOutcome]) -> float:
    """Of the whole answers' times; 0 without any that is right."""
    right = (Verdict.RIGHT, Verdict.RETURNED)
    times = [outcome.seconds for outcome in outcomes if outcome.verdict in right]
    return percentile(times, 0.99) if times else 0.0


def table_of_faults(outcomes: Sequence[CallOutcome], spans: Sequence[Span]) -> Table:
    """A row for each fault: the calls in whose time it was in force, by verdict, and their times.

    A call counts at every fault of its time. Calm times have a row for each number of callers.
    """
    names = [name for name in dict.fromkeys(span.name for span in spans) if name != CALM]
    calm = [outcome for outcome in outcomes if outcome.calm]
    rows = [
        _row(f"{CALM}, {callers} at a time", [o for o in calm if o.callers == callers])
        for callers in sorted({outcome.callers for outcome in calm})
    ]
    rows += [_row(name, [o for o in outcomes if name in o.faults]) for name in names]
    rows.append(_row("all", outcomes))
    columns = ("fault", "calls", *Verdict, "p50 s", "p99 s", "longest s")
    return Table(name="faults", title="What became of the calls", columns=columns, rows=rows)


def table_of_kinds(outcomes: Sequence[CallOutcome]) -> Table:
    """The same for each kind of request."""
    names = sorted({outcome.kind for outcome in outcomes})
    rows = [_row(name, [o for o in outcomes if o.kind == name]) for name in names]
    columns = ("request", "calls", *Verdict, "p50 s", "p99 s", "longest s")
    return Table(name="kinds", title="By kind of request", columns=columns, rows=rows)


def table_of_failures(outcomes: Sequence[CallOutcome], start: float, most: int = 60) -> Table:
    """What must not be, call by call."""
    rows: list[Sequence[Cell]] = [
        [
            round(outcome.began - start, 1),
            round(outcome.seconds, 1),
            outcome.kind,
            str(outcome.verdict),
            outcome.endpoint,
            ", ".join(outcome.faults) or "none",
            outcome.judgement.reason,
        ]
        for outcome in failures(outcomes)[:most]
    ]
    columns = ("at s", "took s", "request", "verdict", "endpoint", "faults", "what happened")
    return Table(name="failures", title="Calls that failed", columns=columns, rows=rows)


def _row(name: str, outcomes: Sequence[CallOutcome]) -> Sequence[Cell]:
    counts = verdict_counts(outcomes)
    times = [outcome.seconds for outcome in outcomes]
    figures: list[Cell] = [None, None, None]
    if times:
        figures = [percentile(times, 0.5), percentile(times, 0.99), max(times)]
    return [name, len(outcomes), *(counts[verdict] for verdict in Verdict), *figures]
