"""One session: an answer by an engine, for which a device drafts, from `open` to `done`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.core.ports import Clock, SessionTelemetry, Verification
from gateway.core.speculation.job import Batch, Job
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import SessionState
from gateway.core.types import InferenceRequest, Tier
from gateway.errors import (
    EngineFailed,
    FirstTokenTimeout,
    GatewayError,
    IdleTimeout,
    InvalidRequest,
    UpstreamError,
)
from gateway.protocol.speculation import Done, Draft, FinishReason, Open, Opened, Tokens
from gateway.serving.admission import Admission
from gateway.serving.dispatch import Waits
from gateway.serving.link import Outbox
from gateway.serving.verification import Attempts, Held, Verifiers
from gateway.serving.watchdog import Watchdog

MAX_EARLY = 64
"""Drafts that wait until an endpoint has accepted the session."""


@dataclass(frozen=True, slots=True)
class Speculation:
    """What every session needs. `new_id` gives hex digits that nobody can guess."""

    verifiers: Verifiers
    admission: Admission
    telemetry: SessionTelemetry
    clock: Clock
    waits: Waits
    new_id: Callable[[], str]


class Session:
    """`run` it in a task of its own; cancelling that makes the engine give up its work."""

    def __init__(
        self,
        services: Speculation,
        frame: Open,
        request: InferenceRequest,
        outcome: SessionOutcome,
        outbox: Outbox,
        sampling: dict[str, Any],
    ) -> None:
        self._services = services
        self._frame = frame
        self._request = request
        self._outcome = outcome
        self._outbox = outbox
        self._tier = Tier(frame.tier)
        self._early: list[Draft] = []
        self._verification: Verification | None = None
        self._told = False
        self._said_bye = False
        self.state = SessionState(list(frame.prompt), sampling)

    def draft(self, frame: Draft) -> None:
        """Hand a draft on. Raises DraftRefused for one that lies."""
        useful = self.state.check(frame.p, frame.i)
        if not useful:
            self._outcome.late += len(frame.i)
            self._services.telemetry.drafts(self._tier, "late", len(frame.i))
        elif self._verification is not None:
            self._forward(self._verification, frame)
        elif len(self._early) < MAX_EARLY:
            self._early.append(frame)
        else:
            self._dropped(frame)

    def mute(self) -> None:
        """Say nothing more: the connection ends, which is no end of the answer itself."""
        self._said_bye = True

    def bye(self, reason: FinishReason, stop: str | None = None) -> None:
        """Say `done`, once."""
        if not self._said_bye:
            self._said_bye = True
            state, request = self.state, self._outcome.request
            self._outbox.put(
                Done(
                    self._frame.s,
                    reason,
                    request.prompt_tokens or len(state.prompt),
                    len(state.verified),
                    state.drafted,
                    state.accepted,
                    stop,
                )
            )

    async def run(self) -> None:
        """To the end of the answer; what goes wrong is told to the device."""
        outcome, services = self._outcome.request, self._services
        services.telemetry.began(self._tier)
        try:
            outcome.queue_s = await services.admission.enter()
            try:
                await self._answer()
            finally:
                services.admission.leave()
        except asyncio.CancelledError:
            outcome.kind = "cancelled"
            self.bye("cancelled")
            raise
        except GatewayError as error:
            outcome.kind = error.code or "error"
            self._fail(outcome.kind, error.message)
        except Exception as error:
            outcome.kind = "internal_error"
            self._outcome.problem = _place(error)
            self._fail("internal_error", "the gateway failed on this session; its log names where")
        finally:
            outcome.finished = services.clock.now()
            outcome.completion_tokens = len(self.state.verified)
            self._outcome.drafted, self._outcome.accepted = self.state.drafted, self.state.accepted
            self._outcome.steps = self.state.steps
            services.telemetry.ended(self._tier, self._outcome)

    def _fail(self, code: str, message: str) -> None:
        if not self._said_bye:
            self._said_bye = True
            self._outbox.error(code, message, self._frame.s, fatal=True)

    async def _answer(self) -> None:
        attempts = Attempts(self._services.verifiers)
        while True:
            choice = self._services.verifiers.choose(
                self._request, self._tier, self._frame.tokenizer, attempts
            )
            attempts.begin(choice)
            held = Held(choice)
            self._note(held)
            try:
                with Watchdog(self._services.clock.now) as watchdog:
                    watchdog.expect(self._services.waits.first_token_s, self._no_token(held))
                    first = await self._begin(held)
                    return await self._relay(held, first, watchdog)
            except UpstreamError as error:
                if self.state.verified:
                    raise
                attempts.failed(error)
            finally:
                self._verification = None
                held.release()

    async def _begin(self, held: Held) -> Batch | None:
        """Until the first ids are there."""
        choice, verifier, frame = held.choice, self._services.verifiers.verifier, self._frame
        endpoint = choice.state.endpoint
        if frame.messages and not self.state.prompt:
            self.state.prompt = await verifier.tokenize(endpoint, choice.model, frame.messages)
        job = Job(self._services.new_id(), choice.model, self.state.prompt, self._sampling(held))
        facts = verifier.facts(endpoint)
        self.state.vocabulary = facts.vocabulary
        verification = held.verification = await verifier.open(endpoint, job)
        if not self._told:
            self._told = True
            prompt = list(self.state.prompt) if frame.messages else []
            self._outbox.put(Opened(frame.s, choice.model, endpoint.id, facts.per_step, prompt))
        self._verification = verification
        early, self._early = self._early, []
        for draft in early:
            if facts.vocabulary is None or max(draft.i) < facts.vocabulary:
                self._forward(verification, draft)
        return await verification.read()

    def _sampling(self, held: Held) -> dict[str, Any]:
        """With the longest answer that fits where the device set no limit."""
        sampling = dict(self.state.sampling)
        longest = held.choice.state.models[held.choice.model].max_model_len
        if longest is not None:
            room = longest - len(self.state.prompt)
            if room < 1:
                raise InvalidRequest(
                    f"the prompt has {len(self.state.prompt)} tokens; {held.choice.model} takes "
                    f"{longest}, with one for the answer at least",
                    code="prompt_too_long",
                )
            sampling.setdefault("max_tokens", room)
        return sampling

    async def _relay(self, held: Held, batch: Batch | None, watchdog: Watchdog) -> None:
        assert held.verification is not None
        read, now, idle_s = (
            held.verification.read,
            self._services.clock.now,
            self._services.waits.idle_s,
        )
        outcome, state, put = self._outcome.request, self.state, self._outbox.put
        number, tier, step_done = self._frame.s, self._tier, self._services.telemetry.step
        gap, model = self._services.verifiers.telemetry.gap, held.choice.model
        reason: FinishReason = "stop"
        stop, last = None, 0.0
        watchdog.expect(idle_s, self._too_quiet(held))
        while batch is not None:
            moment = now()
            if batch.ids:
                step = state.take(batch.ids, moment)
                put(Tokens(number, step.position, list(batch.ids), step.drafted))
                step_done(tier, step)
                if outcome.first_byte is None:
                    outcome.first_byte = moment
                else:
                    gap(model, tier, moment - last)
                outcome.last_byte = last = moment
            if batch.reason is not None:
                reason, stop = self._reason(held, batch.reason), batch.stop
            watchdog.extend(moment + idle_s)
            batch = await read()
        outcome.status = 200
        if usage := held.verification.usage:
            outcome.prompt_tokens = usage[0]
        self.bye(reason, stop)

    def _reason(self, held: Held, reason: str) -> FinishReason:
        """Raises EngineFailed for an end that is none, such as an abort on the engine's side."""
        if reason == "stop":
            return "stop"
        if reason == "length":
            return "length"
        endpoint = held.choice.state.endpoint.id
        raise EngineFailed(f"{endpoint} gave the answer up", endpoint=endpoint, code="engine_error")

    def _forward(self, verification: Verification, frame: Draft) -> None:
        if verification.draft(frame.p, frame.i, frame.b):
            self.state.forwarded(frame.p, frame.i, self._services.clock.now())
            self._services.telemetry.drafts(self._tier, "forwarded", len(frame.i))
        else:
            self._dropped(frame)

    def _dropped(self, frame: Draft) -> None:
        self._outcome.dropped += len(frame.i)
        self._services.telemetry.drafts(self._tier, "dropped", len(frame.i))

    def _note(self, held: Held) -> None:
        outcome, endpoint = self._outcome.request, held.choice.state.endpoint
        outcome.attempts += 1
        outcome.opened = self._services.clock.now()
        outcome.model, outcome.reason = held.choice.model, held.choice.reason
        outcome.tier, outcome.endpoint = endpoint.tier.value, endpoint.id

    def _no_token(self, held: Held) -> Callable[[], Exception]:
        endpoint, seconds = held.choice.state.endpoint.id, self._services.waits.first_token_s
        return lambda: FirstTokenTimeout(
            f"no first token from {endpoint} in {seconds:g} s",
            endpoint=endpoint,
            code="first_token_timeout",
        )

    def _too_quiet(self, held: Held) -> Callable[[], Exception]:
        endpoint, seconds = held.choice.state.endpoint.id, self._services.waits.idle_s
        return lambda: IdleTimeout(
            f"{endpoint} sent nothing for {seconds:g} s", endpoint=endpoint, code="idle_timeout"
        )


def _place(error: Exception) -> str:
    """Where an error that nobody foresaw arose, without its message: that could quote a prompt."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    return f"{type(error).__name__} at {where}"
