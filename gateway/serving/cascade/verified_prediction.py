"""One attempt to have a lower answer verified: the text is the verifying model's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gateway.core.endpoints.endpoint_rates import learn
from gateway.core.outcome import Outcome
from gateway.core.ports import Verification
from gateway.core.speculation.job import Batch, DraftFacts, DraftRun, Job, sampling_of_rest
from gateway.core.speculation.predicted_text import PredictedText
from gateway.core.speculation.run_of_rest import run_of_rest
from gateway.core.upstream_errors import aborted, continuation_refused, idle_timeout
from gateway.errors import InvalidRequest, UpstreamError
from gateway.protocol.paths import COMPLETIONS
from gateway.serving.cascade.answers import AnswerPiece, Escalation
from gateway.serving.cascade.options import CascadeRequest
from gateway.serving.chat.reply import RenderedPrompt
from gateway.serving.requests.attempts import EndpointSlot, note_attempt
from gateway.serving.requests.first_token_wait import FirstTokenWait
from gateway.serving.requests.lifecycle import Lifecycle
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout, first_wait
from gateway.serving.requests.verifiers import VerifierEndpoints, room_for_answer

MAX_PREDICTED = 2048
"""Draft ids that an engine keeps for one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """An answer that an engine is making, and the prediction of it (None: the engine takes no
    drafts), of which endpoints before this one have made the first `start` ids."""

    verification: Verification
    prediction: PredictedText | None
    start: int

    def advance(self, ids: Sequence[int]) -> None:
        """Go on by these ids of the answer, and offer what is to be offered anew."""
        prediction = self.prediction
        if prediction is not None and (runs := prediction.advance(ids)):
            self.verification.draft(_of_stream(runs, prediction, self.start))

    def note(self, escalation: Escalation, made_before: int, outcome: Outcome) -> None:
        if self.prediction is not None:
            escalation.kept = min(self.prediction.accepted, escalation.offered)
        escalation.completion_tokens = made_before + outcome.completion_tokens
        if usage := self.verification.usage:
            outcome.prompt_tokens = usage[0]
            escalation.prompt_tokens = max(0, usage[0] - made_before)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPrediction:
    """An answer that one endpoint makes out of token ids, with a lower answer as its prediction.

    `first_token_wait` gives the block in which it waits for the first of them.
    """

    verifiers: VerifierEndpoints
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]
    request: CascadeRequest
    slot: EndpointSlot
    first_token_wait: Callable[[EndpointSlot, ProgressTimeout], FirstTokenWait]

    async def pieces(self, escalation: Escalation) -> AsyncGenerator[AnswerPiece]:
        """The answer after `escalation.made_ids`, which grow with it. Each piece ends with a whole
        letter, so that another endpoint may go on after it.

        Raises UpstreamError, InvalidRequest, DeadlineExceeded. The `slot` stays the caller's.
        """
        outcome, clock = self._outcome(escalation), self.verifiers.clock
        ended = False
        with Lifecycle(outcome, clock, self.verifiers.telemetry.finished):
            try:
                with ProgressTimeout(clock.now) as timeout:
                    pieces = self._made(escalation, outcome, timeout)
                    async with aclosing(pieces):
                        async for piece in pieces:
                            ended = piece.finish_reason is not None
                            yield piece
            except UpstreamError:
                # What an engine fails at after the end of the answer is nobody's loss.
                if not ended:
                    raise
            learn(self.slot.choice.state, outcome, clock.now())

    async def _made(
        self, escalation: Escalation, outcome: Outcome, timeout: ProgressTimeout
    ) -> AsyncGenerator[AnswerPiece]:
        endpoint, now = self.slot.choice.state.endpoint.id, self.verifiers.clock.now
        idle_s, remaining_s = self.timeouts.idle_s, escalation.deadline_s
        timeout.expect(
            *first_wait(
                endpoint,
                self.timeouts.first_token_s,
                remaining_s=remaining_s,
                before="the top tier answered",
            )
        )
        with self.first_token_wait(self.slot, timeout):
            made = await self._open(escalation)
            batch = await made.verification.read() if made is not None else None
        if made is None:
            yield AnswerPiece(text="", finish_reason="length")
            return
        before, token_ids = len(escalation.made_ids), list[int]()
        outcome.status, outcome.first_byte = 200, now()
        while batch is not None:
            outcome.last_byte = self.slot.choice.state.answered_at = now()
            outcome.completion_tokens += len(batch.ids)
            made.advance(batch.ids)
            made.note(escalation, before, outcome)
            token_ids += batch.ids
            if batch.text or batch.reason is not None:
                piece = self._piece(batch, token_ids)
                escalation.made_ids += token_ids
                token_ids = []
                # While the reader of the pieces is busy, the engine is not to blame.
                timeout.extend(float("inf"))
                yield piece
            timeout.expect(idle_s, partial(idle_timeout, endpoint, idle_s))
            batch = await made.verification.read()
        made.note(escalation, before, outcome)

    async def _open(self, escalation: Escalation) -> _Answer | None:
        """None where the answer has all the tokens that it may have."""
        verifier, choice = self.verifiers.verifier, self.slot.choice
        endpoint, made_ids = choice.state.endpoint, escalation.made_ids
        escalation.model, escalation.tier, escalation.endpoint = (
            choice.model,
            endpoint.tier.value,
            endpoint.id,
        )
        prompt = await verifier.tokenize(endpoint, choice.model, self.request.messages)
        escalation.prompt = RenderedPrompt(list(prompt))
        prompt = [*prompt, *escalation.sent_ids]
        escalation.prompt_tokens = len(prompt)
        facts = verifier.facts(endpoint)
        try:
            sampling = self._sampling(escalation, len(prompt) + len(made_ids))
            if sampling.get("max_tokens") == 0:
                return None
            job = Job(
                session=self.new_id(),
                model=choice.model,
                prompt=[*prompt, *made_ids],
                sampling=sampling,
            )
            # The prediction is there when a far engine begins, rather than a round trip later.
            prediction, runs = self._prediction(escalation, facts)
            leave = verifier.early(endpoint, job.session)
            offered = bool(runs) and leave is not None and leave(runs)
            verification = self.slot.answer = await verifier.open(endpoint, job)
        except InvalidRequest as error:
            if made_ids:
                raise continuation_refused(endpoint.id) from error
            raise
        if offered or (runs and verification.draft(runs)):
            escalation.offered = max(escalation.offered, len(prediction.ids) if prediction else 0)
        elif not made_ids:
            escalation.prediction = "no-drafts"
        return _Answer(verification=verification, prediction=prediction, start=len(made_ids))

    def _prediction(
        self, escalation: Escalation, facts: DraftFacts
    ) -> tuple[PredictedText | None, list[DraftRun]]:
        """The lower answer as a prediction of what is made here, and its first drafts."""
        if facts.per_step < 1:
            return None, []
        made_ids = escalation.made_ids
        predicted = _within(escalation.predicted_ids, facts.vocabulary)[:MAX_PREDICTED]
        prediction = PredictedText(ids=predicted, per_step=facts.per_step)
        runs = prediction.advance(made_ids) if made_ids else prediction.begin()
        return prediction, _of_stream(runs, prediction, len(made_ids))

    def _sampling(self, escalation: Escalation, prompt_tokens: int) -> dict[str, Any]:
        sampling = self.request.sampling(stops=escalation.engine_stops)
        sent = len(escalation.sent_ids)
        if self.request.chat.max_tokens is not None:
            sampling["max_tokens"] = max(1, self.request.chat.max_tokens - sent)
        sampling = sampling_of_rest(sampling, len(escalation.made_ids))
        room = room_for_answer(self.slot.choice, prompt_tokens)
        if room is not None:
            sampling["max_tokens"] = min(room, sampling.get("max_tokens", room))
        return sampling

    def _piece(self, batch: Batch, token_ids: list[int]) -> AnswerPiece:
        if batch.reason is not None and batch.reason not in ("stop", "length"):
            raise aborted(self.slot.choice.state.endpoint.id)
        return AnswerPiece(
            text=batch.text,
            token_ids=token_ids,
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


def _of_stream(runs: Sequence[DraftRun], text: PredictedText, start: int) -> list[DraftRun]:
    """The runs by positions of a stream that begins after the answer's first `start` ids."""
    found = (run_of_rest(run, text.answer, start) for run in runs)
    return [run for run in found if run is not None]


def _within(ids: list[int], vocabulary: int | None) -> list[int]:
    """Up to the first id that the verifier doesn't have."""
    if vocabulary is None:
        return ids
    end = next((place for place, token in enumerate(ids) if token >= vocabulary), len(ids))
    return ids[:end]
