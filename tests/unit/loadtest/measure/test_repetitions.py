from functools import partial

from loadtest.measure.repetitions import Reading, compare, interleaved, ratio, table
from loadtest.measure.statistics import Spread


def test_differences_and_ratios_are_taken_per_repetition() -> None:
    found = compare(
        [
            Reading(figure="latency", unit="ms", candidate=1.5, baseline=1.0),
            Reading(figure="rate", unit="1/s", candidate=50.0, baseline=100.0, combine=ratio),
            Reading(figure="latency", unit="ms", candidate=3.0, baseline=2.0),
            Reading(figure="rate", unit="1/s", candidate=30.0, baseline=40.0, combine=ratio),
        ]
    )
    assert found["latency"].compared == Spread(0.75, 0.5, 1.0)
    assert found["rate"].compared == Spread(0.625, 0.5, 0.75)


def test_a_figure_without_baseline_stands_alone() -> None:
    found = compare(
        [
            Reading(figure="cpu", unit="µs", candidate=300.0),
            Reading(figure="cpu", unit="µs", candidate=310.0),
        ]
    )
    assert found["cpu"].baseline is None
    assert found["cpu"].compared is None
    assert found["cpu"].candidate == Spread(305.0, 300.0, 310.0)


def test_a_ratio_to_nothing_is_infinite() -> None:
    assert ratio(1.0, 0.0) == float("inf")


def test_the_table_keeps_differences_and_ratios_apart() -> None:
    found = compare(
        [
            Reading(figure="a", unit="ms", candidate=2.0, baseline=1.0),
            Reading(figure="b", unit="1/s", candidate=2.0, baseline=4.0, combine=ratio),
        ]
    )
    written = table("t", "T", found.values(), baseline="direct", candidate="ours")
    assert list(written.columns) == ["figure", "unit", "direct", "ours", "added", "ratio"]
    assert written.rows[0][-2:] == [Spread(1.0, 1.0, 1.0), None]
    assert written.rows[1][-2:] == [None, Spread(0.5, 0.5, 0.5)]


def test_repetitions_are_interleaved_and_turn_round() -> None:
    calls: list[str] = []

    def measure(name: str) -> int:
        calls.append(name)
        return len(calls)

    measures = {name: partial(measure, name) for name in "abc"}
    found = interleaved(3, measures, lambda name: None)
    assert "".join(calls) == "abccbaabc"
    assert found == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_each_step_is_reported_before_it_runs() -> None:
    events: list[str] = []
    interleaved(1, {"a": lambda: events.append("ran")}, events.append)
    assert events == ["a", "ran"]
