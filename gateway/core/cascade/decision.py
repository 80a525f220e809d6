"""Accept a tier's answer, or escalate it: with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.core.cascade.predictor import ConfidenceModel

Reason = Literal[
    "confidence", "worst-window", "disagreement", "self-check", "length-cut", "tier-failed",
    "deadline",
]  # fmt: skip
"""Why an answer went up."""

_BY_METHOD: Mapping[str, Reason] = {"agreement": "disagreement", "self-check": "self-check"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement on one answer: its confidence, and why it goes up. `reason` is None for what
    is accepted."""

    confidence: float
    reason: Reason | None

    @property
    def accepted(self) -> bool:
        return self.reason is None


def judge(
    model: ConfidenceModel,
    method: str,
    values: Mapping[str, float],
    threshold: float,
    *,
    length_cut: bool = False,
) -> Judgement:
    """An answer with these features. It passes at a confidence of `threshold` or more (0 to 1).

    `length_cut`: the answer was cut at its tier's own limit, so it is none.
    """
    confidence = model.confidence(values)
    if length_cut:
        return Judgement(confidence, "length-cut")
    if threshold > 0.0 and model.below_floor(values) is not None:
        return Judgement(confidence, "worst-window")
    if confidence < threshold:
        return Judgement(confidence, _BY_METHOD.get(method, "confidence"))
    return Judgement(confidence, None)
