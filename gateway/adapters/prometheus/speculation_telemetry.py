"""The `SessionTelemetry` port: metrics, and one log line a session, without any ids or text."""

from __future__ import annotations

import structlog

from gateway.adapters.prometheus.requests import Metrics
from gateway.adapters.prometheus.speculation import SpeculationMetrics
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import Step

log = structlog.get_logger("tierflow.session")


class SpeculationTelemetry:
    """A session counts among the ordinary requests as well, with its times and tokens."""

    def __init__(self, requests: Metrics, speculation: SpeculationMetrics) -> None:
        self._requests = requests
        self._speculation = speculation
        self.began = speculation.began
        self.drafts = speculation.drafts

    def step(self, tier: str, step: Step) -> None:
        self._speculation.step(tier, step)

    def ended(self, tier: str, outcome: SessionOutcome) -> None:
        request = outcome.request
        self._requests.finished(request)
        self._speculation.ended(tier, outcome)
        write = log.error if outcome.problem else log.info
        write(
            "session",
            session_id=request.request.id,
            device=outcome.device,
            asked_tier=tier,
            model=request.model,
            tier=request.tier,
            endpoint=request.endpoint,
            reason=request.reason,
            outcome=request.kind,
            attempts=request.attempts,
            prompt_tokens=request.prompt_tokens,
            completion_tokens=request.completion_tokens,
            drafted=outcome.drafted,
            accepted=outcome.accepted,
            dropped=outcome.dropped,
            late=outcome.late,
            bytes_up=outcome.bytes_up,
            bytes_down=outcome.bytes_down,
            steps=outcome.steps,
            queue_ms=_ms(request.queue_s),
            ttft_ms=_ms(request.ttft_s),
            tpot_ms=_ms(request.tpot_s),
            duration_ms=_ms(request.finished - request.request.received),
            **({"problem": outcome.problem} if outcome.problem else {}),
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000.0, 2)
