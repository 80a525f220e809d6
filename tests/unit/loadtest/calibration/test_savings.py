"""The figures of a cascade that was measured."""

from __future__ import annotations

from dataclasses import replace

from loadtest.calibration.savings import Pair, savings


def pair(right: bool, up: bool) -> Pair:
    reason = "confidence" if up else None
    return Pair(
        task="task",
        cascade_right=right,
        upper_right=True,
        cascade_upper_tokens=10 * up,
        upper_tokens=10,
        lower_tokens=8,
        reason=reason,
        predicted=8 * up,
        kept=6 * up,
    )


def test_the_saving_is_in_the_top_tiers_tokens() -> None:
    total = savings([pair(True, False), pair(True, True), pair(False, False), pair(True, False)])
    assert (total.saving, total.escalated, total.kept) == (0.75, 0.25, 0.75)
    assert (total.cascade_accuracy, total.ratio) == (0.75, 0.75)
    assert total.reasons == {"accepted": 3, "confidence": 1}


def test_what_the_top_answered_in_the_lower_tiers_place_is_told() -> None:
    overflow = replace(pair(True, False), lower_tokens=0, cascade_upper_tokens=10)
    total = savings([pair(True, False), overflow])
    assert (total.overflowed, total.escalated, total.saving) == (1, 0.0, 0.5)
