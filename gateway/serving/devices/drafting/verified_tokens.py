"""Verified tokens of one session, from the engine to the device: each step's as it comes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, SessionTelemetry, Telemetry, Verification
from gateway.core.speculation.job import Batch
from gateway.core.speculation.session import SessionState
from gateway.core.types import Tier
from gateway.core.upstream_errors import aborted, idle_timeout
from gateway.protocol.speculation import FinishReason
from gateway.serving.devices.drafting.reply import SessionReply
from gateway.serving.requests.progress_timeout import ProgressTimeout


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRelay:
    """The way of verified tokens to the device: each batch is committed to the session's state
    first.

    `idle_s`: seconds that the engine may take for one batch. `telemetry` is told of each step,
    `requests` of the gaps between tokens.
    """

    state: SessionState
    outcome: Outcome
    reply: SessionReply
    tier: Tier
    clock: Clock
    idle_s: float
    telemetry: SessionTelemetry
    requests: Telemetry

    async def run(
        self, verification: Verification, batch: Batch | None, timeout: ProgressTimeout
    ) -> None:
        """From the first `batch` to `done`. Raises UpstreamError."""
        outcome, idle_s, now = self.outcome, self.idle_s, self.clock.now
        reason: FinishReason = "stop"
        stop: str | None = None
        timeout.expect(idle_s, partial(idle_timeout, outcome.endpoint, idle_s))
        while batch is not None:
            moment = now()
            if batch.ids:
                self._pass_on(batch, moment)
            if batch.reason is not None:
                reason, stop = _reason(outcome.endpoint, batch.reason), batch.stop
            timeout.extend(moment + idle_s)
            batch = await verification.read()
        outcome.status = 200
        if usage := verification.usage:
            outcome.prompt_tokens = usage[0]
        self.reply.done(reason, stop)

    def _pass_on(self, batch: Batch, now: float) -> None:
        step = self.state.commit(batch.ids, now)
        self.reply.tokens(step, batch.ids)
        self.telemetry.step(self.tier, step)
        outcome = self.outcome
        if outcome.first_byte is None or outcome.last_byte is None:
            outcome.first_byte = now
        else:
            self.requests.gap(outcome.model, self.tier, now - outcome.last_byte)
        outcome.last_byte = now


def _reason(endpoint: str, reason: str) -> FinishReason:
    """Raises EngineFailed for any other reason, such as an abort on the engine's side."""
    if reason == "stop":
        return "stop"
    if reason == "length":
        return "length"
    raise aborted(endpoint)
