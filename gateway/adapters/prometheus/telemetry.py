"""The `Telemetry` port: metrics, and one log line a request. Neither ever holds prompt text."""

from __future__ import annotations

import structlog

from gateway.adapters.prometheus.requests import Metrics
from gateway.core.outcome import Outcome

log = structlog.get_logger("tierflow.request")


class RequestTelemetry:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def load(self, inside: int, waiting: int) -> None:
        self._metrics.in_flight.set(inside)
        self._metrics.waiting.set(waiting)

    def gap(self, model: str, tier: str, seconds: float) -> None:
        self._metrics.gap(model, tier, seconds)

    def retried(self, pool: str, cause: str) -> None:
        self._metrics.retried(pool, cause)

    def finished(self, outcome: Outcome) -> None:
        self._metrics.finished(outcome)
        request = outcome.request
        log.info(
            "request",
            request_id=request.id,
            path=request.path,
            # What the caller wrote is logged only once it proved to be a model's name.
            asked=request.model if outcome.model else "unknown",
            model=outcome.model,
            tier=outcome.tier,
            endpoint=outcome.endpoint,
            reason=outcome.reason,
            outcome=outcome.kind,
            status=outcome.status,
            stream=request.stream,
            attempts=outcome.attempts,
            prompt_tokens=outcome.prompt_tokens,
            completion_tokens=outcome.completion_tokens,
            queue_ms=_ms(outcome.queue_s),
            ttft_ms=_ms(outcome.ttft_s),
            duration_ms=_ms(outcome.finished - request.received),
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000.0, 2)
