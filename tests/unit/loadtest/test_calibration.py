"""Which questions are fitted to, and the figures of a cascade that was measured."""

from __future__ import annotations

import pytest

from loadtest.calibration.arguments import read
from loadtest.calibration.asking import Said, _take, split_of
from loadtest.calibration.measuring import Pair, measured
from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.questions import Question


def question(text: str) -> Question:
    return Question("task", text, "Answer: 1")


def test_three_of_five_questions_are_fitted_to_and_always_the_same() -> None:
    splits = [split_of(question(f"How much is {n}?")) for n in range(2000)]
    assert splits == [split_of(question(f"How much is {n}?")) for n in range(2000)]
    assert splits.count("calibration") / 2000 == pytest.approx(0.6, abs=0.04)


def pair(right: bool, up: bool) -> Pair:
    reason = "confidence" if up else None
    return Pair("task", right, True, up, 10 * up, 10, 8, reason, 8 * up, 6 * up)


def test_the_saving_is_in_the_top_tiers_tokens() -> None:
    found = measured([pair(True, False), pair(True, True), pair(False, False), pair(True, False)])
    assert (found.saving, found.escalated, found.kept) == (0.75, 0.25, 0.75)
    assert (found.cascade_accuracy, found.ratio) == (0.75, 0.75)
    assert found.reasons == {"accepted": 3, "confidence": 1}
    assert found.same_where_escalated == 1.0


def test_a_stream_is_put_together() -> None:
    said = Said()
    choice = {"index": 0, "delta": {"content": "Hi"}}
    _take(said, {"model": "m", "choices": [choice]})
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    _take(said, {"model": "n", "choices": [last], "tierflow": {"cascade": {"reason": None}}})
    _take(said, {"model": "n", "choices": [], "usage": {"completion_tokens": 4}})
    assert (said.text, said.model, said.tokens) == ("Hi", "n", 4)
    assert said.about == {"reason": None}


@pytest.mark.parametrize(
    "words", [["ask", "--output", "x", "--methods", "luck"], ["measure", "--questions", "5"]]
)
def test_what_makes_no_sense_is_refused(words: list[str]) -> None:
    with pytest.raises(BenchmarkFailure):
        read(words)
