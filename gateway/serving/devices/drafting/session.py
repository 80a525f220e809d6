"""One session: an answer by an engine, for which a device drafts, from `open` to `done`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from gateway.core.outcome import Outcome
from gateway.core.ports import Verification
from gateway.core.routing.routing import Choice
from gateway.core.speculation.job import Batch, Job
from gateway.core.upstream_errors import first_token_timeout, prompt_too_long
from gateway.errors import GatewayError, error_place
from gateway.protocol.speculation import Draft, Opened
from gateway.serving.devices.drafting.context import SessionContext
from gateway.serving.devices.drafting.drafts import DraftForwarder
from gateway.serving.devices.drafting.verified_tokens import relay
from gateway.serving.requests.attempts import EndpointSlot, note_attempt
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.progress_timeout import ProgressTimeout


class DraftingSession:
    """`run` it in a task of its own; cancelling that makes the engine give up its work."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._drafts = DraftForwarder(context)
        self._told = False

    def count_received(self, size: int) -> None:
        """Count a frame of `size` bytes that was about this session."""
        self._context.outcome.bytes_up += size

    def draft(self, frame: Draft) -> None:
        """Hand a draft on. Raises DraftRefused for one that lies."""
        self._drafts.take(frame)

    def mute(self) -> None:
        """Say nothing more: the connection ends, which is no end of the answer itself."""
        self._context.silent = True

    def cancelled(self) -> None:
        """Confirm, if nothing else has been said yet."""
        self._context.done("cancelled")

    async def run(self) -> None:
        """To the end of the answer; what goes wrong is told to the device."""
        context, services = self._context, self._context.services
        outcome = context.outcome.request
        services.telemetry.began(context.tier)
        with Lifecycle(outcome, services.clock, self._report):
            try:
                async with AdmissionSlot(services.admission, outcome):
                    await self._answer()
            except asyncio.CancelledError:
                self.cancelled()
                raise
            except GatewayError as error:
                self._fail(error, error.message)
            except Exception as error:
                context.outcome.problem = f"{type(error).__name__} at {error_place(error)}"
                self._fail(error, "the gateway failed on this session; its log says where")

    def _fail(self, error: Exception, message: str) -> None:
        kind = self._context.outcome.request.kind = error_kind(error)
        self._context.fail(kind, message)

    def _report(self, request: Outcome) -> None:
        context, state = self._context, self._context.state
        outcome = context.outcome
        request.completion_tokens = len(state.verified)
        outcome.drafted, outcome.accepted = state.drafted, state.accepted
        outcome.steps = state.steps
        context.services.telemetry.ended(context.tier, outcome)

    async def _answer(self) -> None:
        context, services = self._context, self._context.services
        attempts = services.verifiers.attempts()
        while True:
            choice = services.verifiers.choose(
                context.request, context.tier, context.frame.tokenizer, attempts
            )
            with attempts.at(choice) as slot:
                note_attempt(context.outcome.request, choice, services.clock.now())
                try:
                    return await self._answer_at(slot)
                finally:
                    slot.begun = bool(context.state.verified)
                    self._drafts.disconnect()

    async def _answer_at(self, slot: EndpointSlot) -> None:
        context, services = self._context, self._context.services
        endpoint, seconds = slot.choice.state.endpoint.id, services.timeouts.first_token_s
        with ProgressTimeout(services.clock.now) as timeout:
            timeout.expect(seconds, partial(first_token_timeout, endpoint, seconds))
            verification, first = await self._begin(slot)
            await relay(context, verification, first, timeout)

    async def _begin(self, slot: EndpointSlot) -> tuple[Verification, Batch | None]:
        """Until the first ids are there."""
        context, choice = self._context, slot.choice
        verifier, frame, state = context.services.verifiers.verifier, context.frame, context.state
        endpoint = choice.state.endpoint
        if frame.messages and not state.prompt:
            state.prompt = await verifier.tokenize(endpoint, choice.model, frame.messages)
        job = Job(
            session=context.services.new_id(),
            model=choice.model,
            prompt=state.prompt,
            sampling=self._sampling(slot.choice),
        )
        facts = verifier.facts(endpoint)
        state.vocabulary = facts.vocabulary
        verification = slot.answer = await verifier.open(endpoint, job)
        if not self._told:
            self._told = True
            prompt = list(state.prompt) if frame.messages else []
            context.say(Opened(frame.s, choice.model, endpoint.id, facts.per_step, prompt))
        self._drafts.connect(verification)
        return verification, await verification.read()

    def _sampling(self, choice: Choice) -> dict[str, Any]:
        """With the longest answer that fits where the device set no limit."""
        state = self._context.state
        sampling = dict(state.sampling)
        longest = choice.state.models[choice.model].max_model_len
        if longest is not None:
            room = longest - len(state.prompt)
            if room < 1:
                raise prompt_too_long(choice.model, len(state.prompt), longest)
            sampling.setdefault("max_tokens", room)
        return sampling
