"""The console's eye on requests that end: each becomes an event of the feed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.outcome import Outcome
from gateway.core.speculation.outcome import SessionOutcome
from gateway.protocol.console import RequestSummary
from gateway.serving.console.feed import Feed


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOnlooker:
    """The `Onlooker` port. `wall` gives Unix time."""

    feed: Feed
    wall: Callable[[], float]

    def request_ended(self, outcome: Outcome, *, asked: str, status: int) -> None:
        self.feed.put(lambda: self._summary(outcome, asked, status).model_dump_json().encode())

    def session_ended(self, outcome: SessionOutcome) -> None:
        def made() -> bytes:
            request = outcome.request
            # What the device wrote is shown only once it proved a model's name.
            summary = self._summary(request, request.model or "unknown", request.status)
            told = {
                "device": outcome.device,
                "drafted": outcome.drafted,
                "accepted": outcome.accepted,
            }
            return summary.model_copy(update=told).model_dump_json().encode()

        self.feed.put(made)

    def _summary(self, outcome: Outcome, asked: str, status: int) -> RequestSummary:
        """Without any text."""
        request = outcome.request
        return RequestSummary(
            id=request.id,
            at=self.wall(),
            path=request.path,
            asked=asked,
            model=outcome.model,
            tier=outcome.tier,
            endpoint=outcome.endpoint,
            reason=outcome.reason,
            outcome=outcome.kind,
            status=status,
            stream=request.stream,
            attempts=outcome.attempts,
            resumptions=outcome.resumptions,
            prompt_tokens=outcome.prompt_tokens,
            completion_tokens=outcome.completion_tokens,
            queue_s=outcome.queue_s,
            ttft_s=outcome.ttft_s,
            tpot_s=outcome.tpot_s,
            duration_s=outcome.finished - request.received,
            key=request.caller.key,
            parent=request.parent,
            prediction=outcome.prediction,
            prediction_accepted=outcome.prediction_accepted,
            prediction_rejected=outcome.prediction_rejected,
        )
