"""Drafting sessions: their metrics, and one log line for each, without any ids or text.

Every label comes from a bounded set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.adapters.prometheus.requests import milliseconds
from gateway.core.outcome import Outcome
from gateway.core.ports import Onlooker
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import Step

log = structlog.get_logger("tierflow.session")

AGE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.5, 1.0, 3.0)
BYTES_BUCKETS = (256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576)
STEP_BUCKETS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 33)
PLACES = 16
"""Places in a step that are told apart; all beyond count together."""


class DraftingTelemetry:
    """The `SessionTelemetry` port. A session counts among the ordinary requests as well, with its
    times and tokens: `count_request` does that. `onlooker`: who is told of each as well."""

    def __init__(
        self,
        registry: CollectorRegistry,
        count_request: Callable[[Outcome], None],
        onlooker: Onlooker | None = None,
    ) -> None:
        self._count_request = count_request
        self._onlooker = onlooker

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tierflow_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"tierflow_{name}", text, labels, buckets=buckets, registry=registry)

        self._sessions = counter(
            "speculation_sessions",
            "Speculative sessions that ended. outcome: as in tierflow_requests_total.",
            "tier",
            "outcome",
        )
        self._active = Gauge(
            "tierflow_speculation_active_sessions",
            "Speculative sessions now. mode: device-edge or device-cloud.",
            ("mode",),
            registry=registry,
        )
        self._drafts = counter(
            "speculation_draft_tokens",
            "Draft tokens from devices. fate: forwarded (to the verifier), late (the verifier was "
            "past them) or dropped (the verifier could not be reached).",
            "tier",
            "fate",
        )
        self._accepted = counter(
            "speculation_accepted_tokens", "Draft tokens that the verifier accepted.", "tier"
        )
        self._steps = counter(
            "speculation_steps", "Batches of verified tokens that came back.", "tier"
        )
        self._places = counter(
            "speculation_position_tokens",
            "Draft tokens by their position in the step that looked at them, 0 to 15 and 16+. "
            "result: accepted or refused.",
            "tier",
            "position",
            "result",
        )
        self._age = histogram(
            "speculation_draft_age_seconds",
            "Time from forwarding a draft until it came back verified.",
            AGE_BUCKETS,
            "tier",
        )
        self._width = histogram(
            "speculation_tokens_per_step", "Tokens in one batch.", STEP_BUCKETS, "tier"
        )
        self._bytes = histogram(
            "speculation_session_bytes",
            "Bytes of one session's frames. direction: up (from the device) or down (to it).",
            BYTES_BUCKETS,
            "tier",
            "direction",
        )

    def session_started(self, tier: str) -> None:
        self._active.labels(f"device-{tier}").inc()

    def session_ended(self, tier: str, outcome: SessionOutcome) -> None:
        self._active.labels(f"device-{tier}").dec()
        self._sessions.labels(tier, outcome.request.kind).inc()
        self._bytes.labels(tier, "up").observe(outcome.bytes_up)
        self._bytes.labels(tier, "down").observe(outcome.bytes_down)
        self._count_request(outcome.request)
        if self._onlooker is not None:
            self._onlooker.session_ended(outcome)
        _log(tier, outcome)

    def drafts(self, tier: str, fate: str, tokens: int) -> None:
        _bound(self._drafts, tier, fate).inc(tokens)

    def step(self, tier: str, step: Step) -> None:
        _bound(self._steps, tier).inc()
        self._observe_width(tier, step.tokens)
        if step.accepted:
            _bound(self._accepted, tier).inc(step.accepted)
            for place in range(step.drafted):
                _bound(self._places, tier, _place(place), "accepted").inc()
        if step.age_s is not None:
            self._age.labels(tier).observe(step.age_s)
        if step.refused is not None:
            _bound(self._places, tier, _place(step.refused), "refused").inc()

    def _observe_width(self, tier: str, tokens: int) -> None:
        self._width.labels(tier).observe(tokens)


def _place(place: int) -> str:
    return str(place) if place < PLACES else f"{PLACES}+"


@lru_cache(maxsize=512)
def _bound(counter: Counter, *labels: str) -> Counter:
    return counter.labels(*labels)


def _log(tier: str, outcome: SessionOutcome) -> None:
    request = outcome.request
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
        resumptions=request.resumptions,
        prompt_tokens=request.prompt_tokens,
        completion_tokens=request.completion_tokens,
        drafted=outcome.drafted,
        accepted=outcome.accepted,
        dropped=outcome.dropped,
        late=outcome.late,
        bytes_up=outcome.bytes_up,
        bytes_down=outcome.bytes_down,
        steps=outcome.steps,
        queue_ms=milliseconds(request.queue_s),
        ttft_ms=milliseconds(request.ttft_s),
        tpot_ms=milliseconds(request.tpot_s),
        duration_ms=milliseconds(request.finished - request.request.received),
        **({"problem": outcome.problem} if outcome.problem else {}),
    )
