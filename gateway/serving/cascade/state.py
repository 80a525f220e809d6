"""One request in the cascade: what it has come to so far, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.cascade.decision import Judgement
from gateway.core.cascade.ports import CascadeOutcome
from gateway.core.final_answer import answer_key
from gateway.core.outcome import Outcome
from gateway.serving.cascade.account import account, climbed, failed, judged, usage
from gateway.serving.cascade.answers import LowerAnswer
from gateway.serving.cascade.escalation_state import Escalation
from gateway.serving.cascade.held_back import HeldBackStream
from gateway.serving.cascade.lower_tier import StageSpec
from gateway.serving.cascade.options import CascadeRequest
from gateway.serving.cascade.rules import AcceptanceRule
from gateway.serving.cascade.services import CascadeDeps
from gateway.serving.chat.reply import Conclusion, Reply


@dataclass(slots=True, kw_only=True)
class CascadeState:
    """What is `told` of the request is complete when it has ended.

    `by_models` judges the answers of models; `rule` is the one that judged last. `live`: pieces of
    a lower tier's answer may go out before it is judged, by way of `flow`. `draft` is the last
    small answer, or as much as came of it; `below` names the models whose answers were not
    accepted. `upper_text` is the top's answer, where it gave all of it.
    """

    services: CascadeDeps
    asked: CascadeRequest
    by_models: AcceptanceRule
    live: bool
    reply: Reply
    outcome: Outcome
    told: CascadeOutcome = field(default_factory=CascadeOutcome)
    rule: AcceptanceRule = field(init=False)
    draft: LowerAnswer | None = None
    upper_text: str | None = None
    below: set[str] = field(default_factory=set)
    flow: HeldBackStream | None = None
    ascent: Escalation = field(default_factory=Escalation)

    def __post_init__(self) -> None:
        self.rule = self.by_models

    def left(self) -> float | None:
        """Seconds until the caller's own deadline; None: it has none."""
        deadline = self.asked.request.demands.deadline_s
        if deadline is None:
            return None
        left = deadline - (self.services.clock.now() - self.asked.request.received)
        return max(0.001, left)

    def place(self, tier: str, endpoint: str) -> None:
        """What headers and metrics tell: where the answer comes from, as far as that is known."""
        self.outcome.tier, self.outcome.endpoint = tier, endpoint

    def tell_judged(self, draft: LowerAnswer, judgement: Judgement, began: float) -> None:
        seconds = self.services.clock.now() - began
        top = self.services.is_top(draft.model)
        self.told.stages.append(judged(draft, judgement, seconds, top=top))

    def tell_failed(self, tier: StageSpec, before: LowerAnswer | None, began: float) -> None:
        """`before` is the draft that there was before this tier was asked."""
        draft = None if self.draft is before else self.draft
        seconds = self.services.clock.now() - began
        self.told.stages.append(failed(tier.name, draft, seconds))

    def tell_upper(self, decision: str, began: float) -> None:
        """`decision`: answered or failed."""
        ascent, top = self.ascent, self.services.tiers[-1]
        seconds = self.services.clock.now() - began
        self.told.predicted, self.told.kept = ascent.offered, ascent.kept
        self.told.stages.append(climbed(ascent, decision, seconds, top.model))

    async def end(
        self, model: str, reason: str, stop: str | int | None, draft: LowerAnswer | None
    ) -> None:
        """The reply's end; `draft` where the answer is a small one."""
        about = account(
            self.told,
            self.rule.method,
            self.rule.threshold,
            self.ascent.how if self.ascent.model else None,
            self.asked.options.features,
        )
        self.reply.model = model
        await self.reply.finish(
            Conclusion(
                finish_reason=reason,
                stop_reason=stop,
                usage=usage(self.told),
                tierflow={"cascade": about},
                engine_body=None if draft is None else self.asked.own_body(draft.body),
            )
        )

    def agreed(self) -> bool | None:
        """Whether the tiers said the same; None where one of them was not heard whole."""
        if self.draft is None or self.upper_text is None or not self.draft.reason:
            return None
        lead = self.services.judges.how.lead
        return answer_key(self.draft.text, lead) == answer_key(self.upper_text, lead)
