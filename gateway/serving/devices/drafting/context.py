"""What the parts of one session share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.ports import Clock, SessionTelemetry
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import SessionState
from gateway.core.types import InferenceRequest, Tier
from gateway.protocol.speculation import Done, FinishReason, FromGateway, Open
from gateway.serving.devices.outbox import Outbox
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.verifiers import VerifierEndpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftingDeps:
    """What every session needs. `new_id` gives hex digits that nobody can guess."""

    verifiers: VerifierEndpoints
    admission: Admission
    telemetry: SessionTelemetry
    clock: Clock
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]


@dataclass(slots=True, kw_only=True)
class SessionContext:
    """`silent`: the device has been told the end, or must not be told any more."""

    services: DraftingDeps
    frame: Open
    request: InferenceRequest
    outcome: SessionOutcome
    outbox: Outbox
    state: SessionState
    silent: bool = False

    @property
    def tier(self) -> Tier:
        return Tier(self.frame.tier)

    def say(self, frame: FromGateway) -> None:
        self.outcome.bytes_down += self.outbox.put(frame)

    def done(self, reason: FinishReason, stop: str | None = None) -> None:
        if not self.silent:
            self.silent = True
            state = self.state
            prompt_tokens = self.outcome.request.prompt_tokens or len(state.prompt)
            completion_tokens = len(state.verified)
            self.say(
                Done(
                    self.frame.s,
                    reason,
                    prompt_tokens,
                    completion_tokens,
                    state.drafted,
                    state.accepted,
                    stop,
                )
            )

    def fail(self, code: str, message: str) -> None:
        if not self.silent:
            self.silent = True
            error = self.outbox.error(code, message, self.frame.s, fatal=True)
            self.outcome.bytes_down += error
