"""Drafts out of a request's own prompt, where they pay: prompt-lookup decoding (Saxena, 2023)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.bodies.body_outline import SMALL_BYTES
from gateway.core.outcome import Outcome
from gateway.core.ports import DraftingEngines, LeaveDrafts, ModelServer
from gateway.core.speculation.eligibility import Fields
from gateway.core.speculation.job import DraftFacts
from gateway.core.speculation.lookup_rule import LookupRule
from gateway.core.speculation.predicted_text import PredictedText
from gateway.core.types import Endpoint, InferenceRequest
from gateway.protocol.headers import FROM_PROMPT, VERIFIER
from gateway.protocol.paths import CHAT, COMPLETIONS
from gateway.serving.speculation.drafted_server import DraftedServer


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLookups:
    """The way to the engines for requests that draw drafts from their own prompts. `rules`, by the
    model that was asked for, say whether that pays. `new_id` gives 32 hex digits that nobody can
    guess."""

    server: ModelServer
    engines: DraftingEngines
    new_id: Callable[[], str]
    rules: dict[str, LookupRule] = field(default_factory=dict)

    def way(self, request: InferenceRequest, outcome: Outcome) -> ModelServer | None:
        """None where nothing is to be drafted, which costs nothing."""
        if request.path not in (CHAT, COMPLETIONS) or len(request.body) > SMALL_BYTES:
            return None
        rule = self.rules.get(request.model)
        if rule is not None and not rule.allows():
            return None
        return DraftedServer(
            server=self.server,
            engines=self.engines,
            drafted=LookupRequest(request.model, self.rules, outcome),
            stream=request.stream,
            new_id=self.new_id,
            marks=request.demands.marks,
        )


class LookupRequest:
    """A request that draws drafts from its own prompt (`DraftedRequest`)."""

    def __init__(self, model: str, rules: dict[str, LookupRule], outcome: Outcome) -> None:
        self._model = model
        self._rules = rules
        self._outcome = outcome

    def source(
        self, endpoint: Endpoint, facts: DraftFacts, path: str, fields: Fields
    ) -> LookupSource:
        # Only a model that is served gets a rule: names that callers make up are none.
        rule = self._rules.setdefault(self._model, LookupRule())
        return LookupSource(rule, facts.per_step, self._outcome)

    def engine_fields(self, fields: Fields) -> Fields:
        return fields

    def unused(self, reason: str) -> None:
        """The caller has asked for nothing of it."""

    def usage_details(self) -> Mapping[str, int]:
        return {}


class LookupSource:
    """The prompt of an answer as its `DraftSource`."""

    def __init__(self, rule: LookupRule, per_step: int, outcome: Outcome) -> None:
        self._rule = rule
        self._per_step = per_step
        self._outcome = outcome
        self._leave: LeaveDrafts | None = None
        self._text: PredictedText | None = None
        self._offers = 0
        self._closed = False

    def start(self, leave: LeaveDrafts) -> None:
        self._leave = leave

    def prompt(self, ids: Sequence[int]) -> None:
        self._text = PredictedText(ids=ids, per_step=self._per_step, starts=False)

    def advance(self, ids: Sequence[int]) -> Sequence[str]:
        if self._text is None or self._leave is None:
            return [VERIFIER] * len(ids)
        if runs := self._text.advance(ids):
            self._offers += 1
            self._leave(runs)
        return [FROM_PROMPT if came else VERIFIER for came in self._text.came]

    def close(self) -> None:
        text = self._text
        if self._closed or text is None:
            return
        self._closed = True
        tokens = len(text.answer)
        self._rule.record(tokens=tokens, accepted=text.accepted, offers=self._offers)
        outcome = self._outcome
        # A step's tokens come in one event, which is all that is counted without usage.
        outcome.completion_tokens = max(outcome.completion_tokens, tokens)
        outcome.lookup_accepted += text.accepted
