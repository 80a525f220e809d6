"""Calls are counted with the faults of their time."""

from __future__ import annotations

import pytest

from loadtest.callers.caller import Call
from loadtest.callers.verdicts import Attempt, Verdict
from loadtest.chaos.gateway_watch import counter
from loadtest.chaos.outcomes import (
    CallOutcome,
    ChaosResult,
    outcome_of,
    table_of_failures,
    table_of_faults,
)
from loadtest.chaos.schedule import CALM, Span
from tests.unit.loadtest.callers.calls import attempt, ending, events, question

SPANS = [Span(CALM, 0.0, 9.0), Span("Redis killed", 10.0, 20.0), Span("engine paused", 30.0, 40.0)]
RIGHT = attempt(*events(), ending())
BROKEN = attempt(*events(0, 2), broken="the connection ended before the answer did")


SIZES = [(0.0, 5), (25.0, 9)]


def outcome(
    began: float, ended: float, *attempts: Attempt, losses: tuple[float, ...] = ()
) -> CallOutcome:
    call = Call(question=question(), began=began, ended=ended, attempts=list(attempts))
    return outcome_of(call, SPANS, losses, SIZES)


def result(*outcomes: CallOutcome) -> ChaosResult:
    return ChaosResult(
        outcomes=[outcome(1.0, 2.0, RIGHT), *outcomes],
        spans=SPANS,
        processes=[],
        survivors=[],
        continued=2,
        start=0.0,
    )


@pytest.mark.parametrize(
    ("began", "ended", "faults"),
    [
        (1.0, 9.0, ()),
        (1.0, 10.5, ("Redis killed",)),
        (20.5, 21.0, ("Redis killed",)),
        (22.0, 23.0, ()),
        (15.0, 35.0, ("Redis killed", "engine paused")),
    ],
)
def test_a_call_has_the_faults_of_its_time(
    began: float, ended: float, faults: tuple[str, ...]
) -> None:
    assert outcome(began, ended, RIGHT).faults == faults


def test_only_a_connection_that_ends_with_a_killed_replica_is_cut() -> None:
    assert outcome(0.0, 2.0, BROKEN, losses=(1.5,)).verdict is Verdict.CUT
    assert outcome(0.0, 2.0, BROKEN, losses=(0.5,)).verdict is Verdict.LOST
    assert outcome(0.0, 2.0, BROKEN, losses=(3.0,)).verdict is Verdict.LOST


def test_the_final_line_counts_what_must_not_be() -> None:
    good = result(outcome(10.0, 12.0, RIGHT))
    bad = result(outcome(10.0, 12.0, RIGHT), outcome(31.0, 33.0, BROKEN))
    assert (good.passed, bad.passed) == (True, False)
    figures = bad.figures()
    assert (figures["streams"], figures["lost"], figures["resumed"]) == (3, 1, 2)
    assert figures["p99_added_s"] == pytest.approx(1.0)


def test_a_call_is_calm_that_begins_in_a_calm_time_and_meets_no_fault() -> None:
    assert outcome(1.0, 2.0, RIGHT).calm
    assert not outcome(8.0, 11.0, RIGHT).calm
    assert not outcome(22.0, 23.0, RIGHT).calm


def test_times_are_compared_where_as_many_callers_were_at_work() -> None:
    slow_in_a_crowd = outcome(31.0, 39.0, RIGHT)
    assert (slow_in_a_crowd.callers, outcome(1.0, 2.0, RIGHT).callers) == (9, 5)
    assert result(outcome(10.0, 13.0, RIGHT), slow_in_a_crowd).figures()["p99_added_s"] == 2.0


def test_tables_have_a_row_for_each_fault_and_each_failure() -> None:
    ended = [outcome(1.0, 2.0, RIGHT), outcome(10.0, 12.0, RIGHT), outcome(31.0, 33.0, BROKEN)]
    rows = {row[0]: row[1] for row in table_of_faults(ended, SPANS).rows}
    assert rows == {"none (calm), 5 at a time": 1, "Redis killed": 1, "engine paused": 1, "all": 3}
    ((at, _, kind, verdict, _, faults, _),) = table_of_failures(ended, start=30.0).rows
    assert (at, kind, verdict, faults) == (1.0, "chat", "lost", "engine paused")


def test_a_counter_is_summed_over_its_labels() -> None:
    page = '# HELP a b\na_total{x="1"} 2.0\na_total{x="2"} 3.0\na_total_more 9.0\n'
    assert counter(page, "a_total") == 5.0
    assert counter(page, "a_total", 'x="2"') == 3.0
    assert counter(page, "b_total") == 0.0
