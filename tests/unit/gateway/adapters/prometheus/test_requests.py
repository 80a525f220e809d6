"""What callers ask and what the gateway asks on their behalf are counted and logged apart."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from gateway.adapters.prometheus.keys import KeyMetrics
from gateway.adapters.prometheus.requests import RequestTelemetry
from gateway.core.outcome import Outcome
from gateway.core.types import InferenceRequest
from tests.servers import metric_in

REQUEST = InferenceRequest(
    id="r-1", path="/v1/chat/completions", model="rill-edge", body=b"", received=1.0, stream=True
)


def ended(request: InferenceRequest) -> Outcome:
    return Outcome(
        request=request,
        status=200,
        model="rill-edge",
        tier="edge",
        endpoint="edge:1",
        reason="model",
        first_byte=1.5,
        last_byte=2.0,
        finished=2.0,
        completion_tokens=7,
    )


def test_the_gateways_own_requests_are_neither_in_the_rate_nor_in_the_times_of_callers() -> None:
    registry = CollectorRegistry()
    telemetry = RequestTelemetry(
        registry=registry,
        status_of=lambda error: 0,
        is_model=lambda name: False,
        keys=KeyMetrics(registry),
    )
    with capture_logs() as lines:
        telemetry.finished(ended(REQUEST))
        for part in ("r-1/answer", "r-1/check"):
            telemetry.finished(ended(replace(REQUEST, id=part, parent="r-1")))
    page = generate_latest(registry).decode()
    assert metric_in(page, "tierflow_requests_total", outcome="ok", tier="edge") == 1
    assert metric_in(page, "tierflow_subrequests_total", outcome="ok", tier="edge") == 2
    for seen_by_callers in ("time_to_first_token", "request_duration", "queue"):
        assert metric_in(page, f"tierflow_{seen_by_callers}_seconds_count") == 1
    assert metric_in(page, "tierflow_subrequest_duration_seconds_count") == 2
    assert metric_in(page, "tierflow_tokens_total", kind="completion") == 21
    assert [(line["event"], line.get("parent")) for line in lines] == [
        ("request", None),
        ("subrequest", "r-1"),
        ("subrequest", "r-1"),
    ]
