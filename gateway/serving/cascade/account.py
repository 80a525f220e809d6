"""What is told of each tier, and of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.cascade.decision import Judgement
from gateway.core.cascade.ports import CascadeOutcome, Stage
from gateway.serving.cascade.answers import LowerAnswer
from gateway.serving.cascade.escalation_state import Escalation


def judged(draft: LowerAnswer, judgement: Judgement, seconds: float, *, top: bool) -> Stage:
    """A lower tier's answer; `top`: the top's model gave it, which nothing judges."""
    decision = "accepted" if judgement.accepted else "escalated"
    return Stage(
        model=draft.model,
        tier=draft.tier,
        endpoint=draft.endpoint,
        prompt_tokens=draft.prompt_tokens,
        tokens=draft.tokens,
        judging_prompt_tokens=draft.judging_prompt_tokens,
        judging_tokens=draft.judging_tokens,
        confidence=None if top else judgement.confidence,
        decision="answered" if top else decision,
        seconds=seconds,
        features=draft.values,
    )


def failed(asked: str, draft: LowerAnswer | None, seconds: float) -> Stage:
    """A lower tier that broke off, with what it said until then; `asked` as for `climbed`."""
    if draft is None:
        return Stage(model=asked, tier="none", decision="failed", seconds=seconds)
    return Stage(
        model=draft.model,
        tier=draft.tier,
        endpoint=draft.endpoint,
        prompt_tokens=draft.prompt_tokens,
        tokens=draft.tokens,
        decision="failed",
        seconds=seconds,
    )


def climbed(ascent: Escalation, decision: str, seconds: float, asked: str) -> Stage:
    """The top tier's answer; `asked` is the model's name where none answered."""
    return Stage(
        model=ascent.model or asked,
        tier=ascent.tier,
        endpoint=ascent.endpoint,
        prompt_tokens=ascent.prompt_tokens,
        tokens=ascent.tokens,
        decision=decision,
        seconds=seconds,
    )


def usage(told: CascadeOutcome) -> tuple[int, int]:
    """Prompt and completion tokens over all tiers."""
    prompt = sum(stage.prompt_tokens + stage.judging_prompt_tokens for stage in told.stages)
    return prompt, sum(stage.tokens + stage.judging_tokens for stage in told.stages)


def account(
    told: CascadeOutcome, method: str, threshold: float, prediction: str | None, features: bool
) -> dict[str, Any]:
    """The reply's `tierflow.cascade`."""
    return {
        "stages": [_stage(stage, features) for stage in told.stages],
        "escalated": told.reason is not None,
        "reason": told.reason,
        "degraded": told.degraded,
        "method": method,
        "threshold": round(threshold, 6),
        "prediction": prediction,
        "predicted_tokens": told.predicted,
        "kept_tokens": told.kept,
    }


def _stage(stage: Stage, features: bool) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "model": stage.model,
        "tier": stage.tier,
        "tokens": stage.tokens,
        "confidence": None if stage.confidence is None else round(stage.confidence, 6),
        "decision": stage.decision,
        "ms": round(stage.seconds * 1000.0, 2),
    }
    if stage.judging_tokens:
        found["judging_tokens"] = stage.judging_tokens
    if features and stage.features:
        found["features"] = dict(stage.features)
    return found
