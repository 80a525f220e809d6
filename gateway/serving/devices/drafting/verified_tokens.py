"""Verified tokens of one session, from the engine to the device: each step's as it comes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, SessionTelemetry, Telemetry, Verification
from gateway.core.speculation.job import Batch
from gateway.core.speculation.session import SessionState
from gateway.core.streams.stop_texts import StopScanner
from gateway.core.tier import Tier
from gateway.core.types import EndpointState
from gateway.core.upstream_errors import aborted, idle_timeout
from gateway.protocol.device_link.speculation import FinishReason
from gateway.serving.devices.drafting.reply import SessionReply
from gateway.serving.requests.progress_timeout import ProgressTimeout


class AnswerEnd(NamedTuple):
    """How an answer ended; `stop` is the stop text that ended it, or the id of the token."""

    reason: FinishReason
    stop: str | int | None = None


@dataclass(slots=True, kw_only=True)
class TokenRelay:
    """The way of verified tokens to the device: each batch is committed to the session's state
    first.

    `idle_s`: seconds that the engine may take for one batch. `telemetry` is told of each step,
    `requests` of the gaps between tokens. `scanner` looks for stop texts in an answer that several
    engines write; None: the engine does. `end` is there as soon as the answer is complete, though
    the engine may have more to say.
    """

    state: SessionState
    outcome: Outcome
    reply: SessionReply
    tier: Tier
    clock: Clock
    idle_s: float
    telemetry: SessionTelemetry
    requests: Telemetry
    scanner: StopScanner | None = None
    end: AnswerEnd | None = None

    async def run(
        self,
        verification: Verification,
        batch: Batch | None,
        timeout: ProgressTimeout,
        engine: EndpointState,
    ) -> None:
        """From the first `batch` to the engine's last word; `engine` is the endpoint where it is
        at work. Raises UpstreamError."""
        endpoint, idle_s, now = self.outcome.endpoint, self.idle_s, self.clock.now
        timeout.expect(idle_s, partial(idle_timeout, endpoint, idle_s))
        while batch is not None:
            moment = engine.answered_at = now()
            if batch.ids:
                self._pass_on(batch, moment)
            if batch.reason is not None:
                self.end = AnswerEnd(_reason(endpoint, batch.reason), batch.stop)
            if self.scanner is not None and self._stops(self.scanner, batch):
                return
            timeout.extend(moment + idle_s)
            batch = await verification.read()
        if usage := verification.usage:
            self.outcome.prompt_tokens = max(0, usage[0] - self.state.resumed_at)
        self.end = self.end or AnswerEnd("stop")

    def _stops(self, scanner: StopScanner, batch: Batch) -> bool:
        """Whether a stop text is complete with this batch."""
        scanner.feed(batch.text)
        if scanner.stopped is not None:
            self.end = AnswerEnd("stop", scanner.stopped)
        return scanner.stopped is not None

    def _pass_on(self, batch: Batch, now: float) -> None:
        step = self.state.commit(batch.ids, now)
        self.reply.tokens(step, batch.ids, batch.writers)
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
