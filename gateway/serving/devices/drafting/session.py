"""One session: an answer by an engine, for which a device drafts, from `open` to `done`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.core.outcome import Outcome
from gateway.core.ports import Verification
from gateway.core.speculation.job import Batch, Job
from gateway.errors import FirstTokenTimeout, GatewayError, InvalidRequest, UpstreamError
from gateway.protocol.speculation import Draft, Opened
from gateway.serving.devices.drafting.context import SessionContext
from gateway.serving.devices.drafting.drafts import DraftForwarder
from gateway.serving.devices.drafting.verified_tokens import relay
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.progress_timeout import ProgressTimeout
from gateway.serving.requests.verifiers import Attempts, EndpointSlot


class DraftingSession:
    """`run` it in a task of its own; cancelling that makes the engine give up its work."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._drafts = DraftForwarder(context)
        self._told = False

    def heard(self, size: int) -> None:
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
                context.outcome.problem = _place(error)
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
        attempts = Attempts(services.verifiers)
        while True:
            choice = services.verifiers.choose(
                context.request, context.tier, context.frame.tokenizer, attempts
            )
            attempts.begin(choice)
            held = EndpointSlot(choice, services.verifiers.endpoints)
            self._note(held)
            try:
                with ProgressTimeout(services.clock.now) as watchdog:
                    watchdog.expect(services.waits.first_token_s, self._no_token(held))
                    verification, first = await self._begin(held)
                    return await relay(context, verification, first, watchdog)
            except UpstreamError as error:
                if context.state.verified:
                    raise
                attempts.failed(error)
            finally:
                self._drafts.disconnect()
                held.release()

    async def _begin(self, held: EndpointSlot) -> tuple[Verification, Batch | None]:
        """Until the first ids are there."""
        context, choice = self._context, held.choice
        verifier, frame, state = context.services.verifiers.verifier, context.frame, context.state
        endpoint = choice.state.endpoint
        if frame.messages and not state.prompt:
            state.prompt = await verifier.tokenize(endpoint, choice.model, frame.messages)
        job = Job(
            session=context.services.new_id(),
            model=choice.model,
            prompt=state.prompt,
            sampling=self._sampling(held),
        )
        facts = verifier.facts(endpoint)
        state.vocabulary = facts.vocabulary
        verification = held.verification = await verifier.open(endpoint, job)
        if not self._told:
            self._told = True
            prompt = list(state.prompt) if frame.messages else []
            context.say(Opened(frame.s, choice.model, endpoint.id, facts.per_step, prompt))
        self._drafts.connect(verification)
        return verification, await verification.read()

    def _sampling(self, held: EndpointSlot) -> dict[str, Any]:
        """With the longest answer that fits where the device set no limit."""
        state = self._context.state
        sampling = dict(state.sampling)
        longest = held.choice.state.models[held.choice.model].max_model_len
        if longest is not None:
            room = longest - len(state.prompt)
            if room < 1:
                raise InvalidRequest(
                    f"the prompt has {len(state.prompt)} tokens; {held.choice.model} takes "
                    f"{longest}, with one for the answer at least",
                    code="prompt_too_long",
                )
            sampling.setdefault("max_tokens", room)
        return sampling

    def _note(self, held: EndpointSlot) -> None:
        outcome, endpoint = self._context.outcome.request, held.choice.state.endpoint
        outcome.attempts += 1
        outcome.opened = self._context.services.clock.now()
        outcome.model, outcome.reason = held.choice.model, held.choice.reason
        outcome.tier, outcome.endpoint = endpoint.tier.value, endpoint.id

    def _no_token(self, held: EndpointSlot) -> Callable[[], Exception]:
        endpoint = held.choice.state.endpoint.id
        seconds = self._context.services.waits.first_token_s
        return lambda: FirstTokenTimeout(
            f"no first token from {endpoint} in {seconds:g} s",
            endpoint=endpoint,
            code="first_token_timeout",
        )


def _place(error: Exception) -> str:
    """Where an error that nobody foresaw arose, without its message: that could quote a prompt."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    return f"{type(error).__name__} at {where}"
