"""One attempt to have a lower answer verified: the text is the verifying model's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gateway.core.cascade.prediction import Prediction
from gateway.core.endpoint_rates import learn
from gateway.core.outcome import Outcome
from gateway.core.ports import Verification
from gateway.core.speculation.job import Batch, Job
from gateway.core.upstream_errors import aborted, idle_timeout
from gateway.protocol.paths import COMPLETIONS
from gateway.serving.cascade.answers import AnswerPiece, Escalation
from gateway.serving.cascade.options import CascadeRequest
from gateway.serving.requests.attempts import EndpointSlot, note_attempt
from gateway.serving.requests.lifecycle import Lifecycle
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout, first_wait
from gateway.serving.requests.verifiers import VerifierEndpoints, room_for_answer

MAX_PREDICTED = 2048
"""Draft ids that an engine keeps for one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPrediction:
    """An answer that one endpoint makes out of token ids, with a lower answer as its prediction."""

    verifiers: VerifierEndpoints
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]
    request: CascadeRequest
    slot: EndpointSlot

    async def pieces(self, escalation: Escalation) -> AsyncGenerator[AnswerPiece]:
        """Raises UpstreamError, InvalidRequest, DeadlineExceeded. The `slot` stays the caller's."""
        outcome = self._outcome(escalation)
        now, idle_s = self.verifiers.clock.now, self.timeouts.idle_s
        too_quiet = partial(idle_timeout, self.slot.choice.state.endpoint.id, idle_s)
        with Lifecycle(outcome, self.verifiers.clock, self.verifiers.telemetry.finished):
            with ProgressTimeout(now) as timeout:
                timeout.expect(
                    *first_wait(
                        self.slot.choice.state.endpoint.id,
                        self.timeouts.first_token_s,
                        remaining_s=escalation.deadline_s,
                        before="the top tier answered",
                    )
                )
                prediction, verification = await self._open(escalation)
                batch = await verification.read()
                outcome.status, outcome.first_byte = 200, now()
                while batch is not None:
                    outcome.last_byte = now()
                    outcome.completion_tokens += len(batch.ids)
                    if new_drafts := prediction.advance(batch.ids):
                        verification.draft(new_drafts)
                    _note(escalation, prediction, outcome, verification.usage)
                    # While the reader of the pieces is busy, the engine is not to blame.
                    timeout.extend(float("inf"))
                    yield self._piece(batch)
                    timeout.expect(idle_s, too_quiet)
                    batch = await verification.read()
                _note(escalation, prediction, outcome, verification.usage)
            learn(self.slot.choice.state, outcome, now())

    async def _open(self, escalation: Escalation) -> tuple[Prediction, Verification]:
        verifier, choice = self.verifiers.verifier, self.slot.choice
        endpoint = choice.state.endpoint
        escalation.model, escalation.tier, escalation.endpoint = (
            choice.model,
            endpoint.tier.value,
            endpoint.id,
        )
        prompt = await verifier.tokenize(endpoint, choice.model, self.request.messages)
        prompt = [*prompt, *escalation.sent_ids]
        escalation.prompt_tokens = len(prompt)
        facts = verifier.facts(endpoint)
        predicted = _within(escalation.predicted_ids, facts.vocabulary)[:MAX_PREDICTED]
        prediction = Prediction(predicted=predicted, per_step=facts.per_step)
        job = Job(
            session=self.new_id(),
            model=choice.model,
            prompt=prompt,
            sampling=self._sampling(escalation, len(prompt)),
        )
        verification = self.slot.answer = await verifier.open(endpoint, job)
        if facts.per_step < 1 or not verification.draft(prediction.begin()):
            escalation.prediction = "no-drafts"
        else:
            escalation.offered = len(predicted)
        return prediction, verification

    def _sampling(self, escalation: Escalation, prompt_tokens: int) -> dict[str, Any]:
        sampling = self.request.sampling(stops=escalation.engine_stops)
        choice = self.slot.choice
        room = room_for_answer(choice, prompt_tokens)
        bounds = [] if room is None else [room]
        if self.request.chat.max_tokens is not None:
            bounds.append(max(1, self.request.chat.max_tokens - len(escalation.sent_ids)))
        if bounds:
            sampling["max_tokens"] = min(bounds)
        return sampling

    def _piece(self, batch: Batch) -> AnswerPiece:
        if batch.reason is not None and batch.reason not in ("stop", "length"):
            raise aborted(self.slot.choice.state.endpoint.id)
        return AnswerPiece(
            text=batch.text,
            token_ids=batch.ids,
            finish_reason=batch.reason,
            stop_reason=batch.stop,
        )

    def _outcome(self, escalation: Escalation) -> Outcome:
        choice, now = self.slot.choice, self.verifiers.clock.now()
        request = replace(
            self.request.inference,
            id=f"{self.request.inference.id}/verification",
            parent=self.request.inference.id,
            path=COMPLETIONS,
            model=choice.model,
            received=now,
            stream=True,
        )
        outcome = Outcome(request=request)
        note_attempt(outcome, choice, now)
        return outcome


def _within(ids: list[int], vocabulary: int | None) -> list[int]:
    """Up to the first id that the verifier doesn't have."""
    if vocabulary is None:
        return ids
    end = next((place for place, token in enumerate(ids) if token >= vocabulary), len(ids))
    return ids[:end]


def _note(
    escalation: Escalation, prediction: Prediction, outcome: Outcome, usage: tuple[int, int] | None
) -> None:
    escalation.kept = min(prediction.kept, escalation.offered)
    escalation.completion_tokens = outcome.completion_tokens
    if usage is not None:
        escalation.prompt_tokens = outcome.prompt_tokens = usage[0]
