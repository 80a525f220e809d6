"""Requests: their metrics, and one log line for each. Neither ever holds prompt text.

Every label comes from a bounded set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.adapters.prometheus.keys import KeyMetrics
from gateway.core.admission import ShedReason
from gateway.core.outcome import Outcome
from gateway.core.ports import Onlooker
from gateway.core.types import Endpoint

log = structlog.get_logger("tierflow.request")

TTFT_BUCKETS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
GAP_BUCKETS = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 1, 5)
QUEUE_BUCKETS = (0.0005, 0.001, 0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0)
PLACE = ("tier", "model")
DURATION_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class RequestTelemetry:
    """The `Telemetry` port.

    `status_of` gives the HTTP status that a caller gets with an error; `is_model` tells the names
    of models that are configured or served from what a caller made up. `keys` counts by key.
    `onlooker`: who is told of each request as well.
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        status_of: Callable[[type[BaseException]], int],
        is_model: Callable[[str], bool],
        keys: KeyMetrics,
        onlooker: Onlooker | None = None,
    ) -> None:
        self._onlooker = onlooker
        self._registry = registry
        self._status_of = status_of
        self._is_model = is_model
        self._keys = keys
        self._children: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._add_requests()
        self._add_failures()
        self._add_answers()
        self._add_admission()

    def _add_requests(self) -> None:
        self._requests = self._counter(
            "requests",
            "Callers' requests that ended. outcome: ok, client_error (an engine's 4xx), cancelled, "
            "client_stalled or an error code. reason: as in x-tierflow-reason. tier and model are "
            "none where no engine was reached.",
            ("tier", "model", "outcome", "reason"),
        )
        self._subrequests = self._counter(
            "subrequests",
            "Requests that the gateway itself made to engines, for cascades and collectives. "
            "Labels as those of tierflow_requests_total, which leaves them out.",
            ("tier", "model", "outcome", "reason"),
        )
        self._subrequest_duration = self._histogram(
            "subrequest_duration_seconds",
            "Time of such a request of the gateway's own, to the last byte.",
            PLACE,
            DURATION_BUCKETS,
        )

    def _add_failures(self) -> None:
        self._retries = self._counter(
            "retries",
            "Attempts beyond a request's first, by the pool that failed and the error code.",
            ("pool", "cause"),
        )
        self._ejections = self._counter(
            "ejections",
            "Times that an endpoint was ejected, failed trials included, by the error code of the "
            "last failure.",
            ("pool", "cause"),
        )
        self._resumptions = self._counter(
            "resumptions",
            "Answers whose engine broke after the first token. way: chat, completions, responses, "
            "other, draft, cascade or collective. outcome: resumed (the answer went on at another "
            "endpoint) or failed. cause: the error code of the break.",
            ("way", "outcome", "cause"),
        )

    def _add_answers(self) -> None:
        self._tokens = self._counter(
            "tokens",
            "Tokens of engines' answers, those for cascades and collectives too. kind completion: "
            "the engine's figure where the caller asked for usage, else one per event; kind "
            "prompt: where the engine reports them.",
            (*PLACE, "kind"),
        )
        self._predictions = self._counter(
            "predictions",
            "Requests with a predicted text that an engine was asked. outcome: used, or not-used. "
            "reason: why not, as in x-tierflow-prediction; empty where it was used.",
            (*PLACE, "outcome", "reason"),
        )
        self._prediction_tokens = self._counter(
            "prediction_tokens",
            "Tokens of predicted texts. fate: accepted (it came where it was predicted) or "
            "rejected.",
            (*PLACE, "fate"),
        )
        self._lookup_tokens = self._counter(
            "prompt_lookup_tokens",
            "Tokens that came as they stand in the prompt, where predictions.from_prompt drafted.",
            PLACE,
        )
        self._ttft = self._histogram(
            "time_to_first_token_seconds",
            "Streams: time from arrival to the first bytes.",
            PLACE,
            TTFT_BUCKETS,
        )
        self._itl = self._histogram(
            "inter_token_latency_seconds", "Streams: time between two pieces.", PLACE, GAP_BUCKETS
        )
        self._tpot = self._histogram(
            "time_per_output_token_seconds",
            "Streams: mean time per token after the first.",
            PLACE,
            GAP_BUCKETS,
        )
        self._duration = self._histogram(
            "request_duration_seconds",
            "Time from arrival to the last byte.",
            PLACE,
            DURATION_BUCKETS,
        )

    def _add_admission(self) -> None:
        self._queue = self._histogram(
            "queue_seconds", "Time of waiting for admission at the gateway.", (), QUEUE_BUCKETS
        )
        self._in_flight = Gauge(
            "tierflow_in_flight_requests",
            "Requests inside the gateway now.",
            registry=self._registry,
        )
        self._waiting = Gauge(
            "tierflow_queued_requests",
            "Requests that wait for admission now.",
            registry=self._registry,
        )
        self._sheds = self._counter(
            "shed_requests",
            "Requests that were refused before any work was done for them. reason: queue_full, "
            "displaced (by a request of higher priority or of a caller with fewer), wait "
            "(limits.max_wait_s), deadline, bodies (limits.max_bodies_bytes) or draining.",
            ("reason",),
        )
        # Each is there from the start, so that a rate sees the first one too.
        for reason in ShedReason:
            self._sheds.labels(reason.value)

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(f"tierflow_{name}", text, labels, registry=self._registry)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> Histogram:
        return Histogram(f"tierflow_{name}", text, labels, buckets=buckets, registry=self._registry)

    def load(self, inside: int, waiting: int) -> None:
        self._in_flight.set(inside)
        self._waiting.set(waiting)

    def shed(self, reason: str) -> None:
        self._sheds.labels(reason).inc()

    def finished(self, outcome: Outcome) -> None:
        self.count(outcome)
        request, status = outcome.request, self._status(outcome)
        # What the caller wrote is shown only if it is a model's name.
        asked = request.model if outcome.model or self._is_model(request.model) else "unknown"
        if self._onlooker is not None:
            self._onlooker.request_ended(outcome, asked=request.chain or asked, status=status)
        log.info(
            "subrequest" if request.parent else "request",
            request_id=request.id,
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
            queue_ms=milliseconds(outcome.queue_s),
            ttft_ms=milliseconds(outcome.ttft_s),
            duration_ms=milliseconds(outcome.finished - request.received),
            **({"key": request.caller.key} if request.caller.key else {}),
            **({"parent": request.parent} if request.parent else {}),
        )

    def count(self, outcome: Outcome) -> None:
        """Only the metrics, for a request whose log line is another's."""
        tier, model = outcome.tier, outcome.model or "none"
        _, ttft, tpot, duration, prompt, completion = self._place(tier, model)
        if outcome.prompt_tokens:
            prompt.inc(outcome.prompt_tokens)
        if outcome.completion_tokens:
            completion.inc(outcome.completion_tokens)
        if outcome.request.caller.key:
            self._keys.count(outcome)
        if outcome.request.parent:
            self._count_subrequest(tier, model, outcome)
            return
        _bound(self._requests, (tier, model, outcome.kind, outcome.reason)).inc()
        if outcome.endpoint:
            duration.observe(outcome.finished - outcome.request.received)
        if outcome.ttft_s is not None:
            ttft.observe(outcome.ttft_s)
        if outcome.tpot_s is not None:
            tpot.observe(outcome.tpot_s)
        self._queue.observe(outcome.queue_s)
        if outcome.lookup_accepted:
            _bound(self._lookup_tokens, (tier, model)).inc(outcome.lookup_accepted)
        if outcome.prediction and outcome.endpoint:
            self._count_prediction(tier, model, outcome)

    def _count_prediction(self, tier: str, model: str, outcome: Outcome) -> None:
        used, _, reason = outcome.prediction.partition(": ")
        _bound(self._predictions, (tier, model, used, reason)).inc()
        for fate, tokens in (
            ("accepted", outcome.prediction_accepted),
            ("rejected", outcome.prediction_rejected),
        ):
            _bound(self._prediction_tokens, (tier, model, fate)).inc(tokens)

    def _status(self, outcome: Outcome) -> int:
        """As it was sent: with the answer, or with an error in its place."""
        if outcome.status or outcome.error is None:
            return outcome.status
        return self._status_of(outcome.error)

    def _count_subrequest(self, tier: str, model: str, outcome: Outcome) -> None:
        """Not among what callers see: neither how much they ask, nor how long they wait."""
        _bound(self._subrequests, (tier, model, outcome.kind, outcome.reason)).inc()
        if outcome.endpoint:
            seconds = outcome.finished - outcome.request.received
            self._subrequest_duration.labels(tier, model).observe(seconds)

    def gap(self, model: str, tier: str, seconds: float) -> None:
        self._place(tier, model)[0].observe(seconds)

    def retried(self, pool: str, cause: str) -> None:
        self._retries.labels(pool, cause).inc()

    def endpoint_ejected(self, endpoint: Endpoint, cause: str, pause_s: float) -> None:
        self._ejections.labels(endpoint.pool, cause).inc()
        log.warning(
            "endpoint_ejected",
            endpoint=endpoint.id,
            pool=endpoint.pool,
            cause=cause,
            pause_s=round(pause_s, 2),
        )

    def endpoint_returned(self, endpoint: Endpoint) -> None:
        log.warning("endpoint_returned", endpoint=endpoint.id, pool=endpoint.pool)

    def resumed(self, way: str, outcome: str, cause: str) -> None:
        self._resumptions.labels(way, outcome, cause).inc()

    def _place(self, tier: str, model: str) -> tuple[Any, ...]:
        children = self._children.get((tier, model))
        if children is None:
            children = self._children[tier, model] = (
                self._itl.labels(tier, model),
                self._ttft.labels(tier, model),
                self._tpot.labels(tier, model),
                self._duration.labels(tier, model),
                self._tokens.labels(tier, model, "prompt"),
                self._tokens.labels(tier, model, "completion"),
            )
        return children


@lru_cache(maxsize=4096)
def _bound(counter: Counter, labels: tuple[str, ...]) -> Counter:
    return counter.labels(*labels)


def milliseconds(seconds: float | None) -> float | None:
    """As logs have them."""
    return None if seconds is None else round(seconds * 1000.0, 2)
