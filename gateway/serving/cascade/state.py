"""One request in the cascade: what it draws on, what it has come to, and the account that is given
of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.cascade.decision import Judgement
from gateway.core.cascade.ports import CascadeOutcome, CascadeTelemetry, OutcomeLog, Stage
from gateway.core.final_answer import answer_key
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, EndpointSource
from gateway.serving.cascade.answers import Escalation, LowerAnswer
from gateway.serving.cascade.confidence import ConfidenceProbes
from gateway.serving.cascade.held_back import HeldBackStream
from gateway.serving.cascade.lower_tier import DeviceTier, LowerTier
from gateway.serving.cascade.options import (
    AcceptanceRule,
    AcceptanceRules,
    CascadeDefaults,
    CascadeRequest,
    StageSpec,
)
from gateway.serving.cascade.top_tier import TopTier
from gateway.serving.chat.reply import Conclusion, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeDeps:
    """What every request to the cascade draws on. `stages`: the lowest first, two at least.
    `uniform` gives numbers from 0 to 1, `unix_time` the seconds since 1970."""

    stages: Sequence[StageSpec]
    defaults: CascadeDefaults
    rules: AcceptanceRules
    lower_tier: LowerTier
    top_tier: TopTier
    probes: ConfidenceProbes
    device_tier: DeviceTier
    endpoints: EndpointSource
    clock: Clock
    telemetry: CascadeTelemetry
    log: OutcomeLog | None
    uniform: Callable[[], float]
    unix_time: Callable[[], float]

    @property
    def lower_stages(self) -> Sequence[StageSpec]:
        return self.stages[:-1]

    @property
    def top_stage(self) -> StageSpec:
        return self.stages[-1]

    def is_top(self, model: str) -> bool:
        """Whether the top tier answers with this model."""
        tier = self.top_stage.tier
        if tier is None:
            return model == self.top_stage.model
        states = [s for s in self.endpoints.states() if s.endpoint.tier is tier]
        return any(next(iter(state.models), None) == model for state in states)


@dataclass(slots=True, kw_only=True)
class CascadeState:
    """What one request has come to so far.

    `models_rule` judges the answers of models; `rule` is the one that judged last. `live`: pieces
    of a lower answer may go out before it is judged, through `held_back`. `lower` is the last lower
    answer, or as much as came of it; `rejected_models` gave answers that were not accepted.
    `top_said` is what the top tier said, where it gave all of the answer. `account` is complete
    when the request has ended.
    """

    deps: CascadeDeps
    request: CascadeRequest
    models_rule: AcceptanceRule
    live: bool
    reply: Reply
    outcome: Outcome
    account: CascadeOutcome = field(default_factory=CascadeOutcome)
    rule: AcceptanceRule = field(init=False)
    lower: LowerAnswer | None = None
    top_said: str | None = None
    rejected_models: set[str] = field(default_factory=set)
    held_back: HeldBackStream | None = None
    escalation: Escalation = field(default_factory=Escalation)
    _counted: list[LowerAnswer | Escalation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rule = self.models_rule
        self.reply.spent = self.spent

    def spent(self) -> tuple[int, int]:
        """Prompt and completion tokens so far, over all tiers."""
        prompt, completion = usage(self.account)
        answers: Sequence[LowerAnswer | Escalation | None] = (self.lower, self.escalation)
        for answer in answers:
            if answer is not None and not any(answer is counted for counted in self._counted):
                prompt += answer.prompt_tokens
                completion += answer.completion_tokens
        return prompt, completion

    def remaining_s(self) -> float | None:
        """Seconds until the caller's own deadline, never 0; None: it has none."""
        remaining_s = self.request.inference.remaining_s(self.deps.clock.now())
        return None if remaining_s is None else max(0.001, remaining_s)

    def comes_from(self, answer: LowerAnswer | Escalation) -> None:
        """Where the answer comes from, as far as that is known, for headers and metrics, and what
        was read for it."""
        self.outcome.tier, self.outcome.endpoint = answer.tier, answer.endpoint
        self.reply.prompt = answer.prompt

    def note_judged(self, answer: LowerAnswer, judgement: Judgement, began: float) -> None:
        """An answer that the top tier's own model gave is not judged."""
        top = self.deps.is_top(answer.model)
        decision = "answered" if top else "accepted" if judgement.accepted else "escalated"
        stage = self._stage_of(answer, decision, began)
        stage.judging_prompt_tokens = answer.probe_prompt_tokens
        stage.judging_tokens = answer.probe_tokens
        stage.features = answer.features
        if not top:
            stage.confidence = judgement.confidence
        self.account.stages.append(stage)

    def note_failed(self, spec: StageSpec, before: LowerAnswer | None, began: float) -> None:
        """A lower stage broke off; `before` is the lower answer that there was before it."""
        if self.lower is None or self.lower is before:
            seconds = self.deps.clock.now() - began
            stage = Stage(model=spec.name, tier="none", decision="failed", seconds=seconds)
        else:
            stage = self._stage_of(self.lower, "failed", began)
        self.account.stages.append(stage)

    def note_escalated(self, decision: str, began: float) -> None:
        """`decision`: answered or failed."""
        escalation = self.escalation
        self.account.predicted, self.account.kept = escalation.offered, escalation.kept
        stage = self._stage_of(escalation, decision, began)
        stage.model = escalation.model or self.deps.top_stage.model
        self.account.stages.append(stage)

    def _stage_of(self, answer: LowerAnswer | Escalation, decision: str, began: float) -> Stage:
        self._counted.append(answer)
        return Stage(
            model=answer.model,
            tier=answer.tier,
            endpoint=answer.endpoint,
            prompt_tokens=answer.prompt_tokens,
            tokens=answer.completion_tokens,
            decision=decision,
            seconds=self.deps.clock.now() - began,
        )

    async def finish_with_lower(self, answer: LowerAnswer) -> None:
        """End the reply: a lower answer is the request's."""
        reason = answer.finish_reason or "stop"
        await self._finish(answer, reason, answer.stop_reason)

    async def finish_with_top(self, finish_reason: str, stop_reason: str | int | None) -> None:
        """End the reply: the top tier gave the answer, or the end of it."""
        await self._finish(self.escalation, finish_reason, stop_reason)

    async def _finish(
        self,
        answer: LowerAnswer | Escalation,
        finish_reason: str,
        stop_reason: str | int | None,
    ) -> None:
        body, spent = answer.body, usage(self.account)
        # Where more was spent than on this answer, its details tell of a part alone.
        alone = spent == (answer.prompt_tokens, answer.completion_tokens)
        self.reply.model = answer.model
        await self.reply.finish(
            Conclusion(
                finish_reason=finish_reason,
                stop_reason=stop_reason,
                usage=spent,
                tierflow={"cascade": reply_block(self)},
                engine_body=None if body is None else self.request.body_for_caller(body),
                usage_details=answer.usage_details if alone else {},
            )
        )

    def tiers_agree(self) -> bool | None:
        """Whether both tiers gave the same answer; None where one of them is not known whole."""
        if self.lower is None or self.top_said is None or not self.lower.finish_reason:
            return None
        lead = self.deps.probes.settings.lead
        return answer_key(self.lower.said, lead) == answer_key(self.top_said, lead)


def usage(account: CascadeOutcome) -> tuple[int, int]:
    """Prompt and completion tokens over all tiers."""
    prompt = sum(stage.prompt_tokens + stage.judging_prompt_tokens for stage in account.stages)
    return prompt, sum(stage.tokens + stage.judging_tokens for stage in account.stages)


def reply_block(state: CascadeState) -> dict[str, Any]:
    """The reply's `tierflow.cascade`."""
    account, features = state.account, state.request.options.features
    return {
        "stages": [_stage_block(stage, features) for stage in account.stages],
        "escalated": account.reason is not None,
        "reason": account.reason,
        "degraded": account.degraded,
        "method": state.rule.method,
        "threshold": round(state.rule.threshold, 6),
        "prediction": state.escalation.prediction if state.escalation.model else None,
        "predicted_tokens": account.predicted,
        "kept_tokens": account.kept,
    }


def _stage_block(stage: Stage, features: bool) -> Mapping[str, Any]:
    block: dict[str, Any] = {
        "model": stage.model,
        "tier": stage.tier,
        "tokens": stage.tokens,
        "confidence": None if stage.confidence is None else round(stage.confidence, 6),
        "decision": stage.decision,
        "ms": round(stage.seconds * 1000.0, 2),
    }
    if stage.judging_tokens:
        block["judging_tokens"] = stage.judging_tokens
    if features and stage.features:
        block["features"] = dict(stage.features)
    return block
