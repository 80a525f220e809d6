from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from gateway.adapters.prometheus.keys import MAX_NAMES, KeyMetrics
from gateway.core.outcome import Outcome
from gateway.core.types import Caller
from tests.servers import metric_in
from tests.unit.gateway.build import request


def ended(name: str, parent: str = "") -> Outcome:
    asked = request("rill-edge", caller=Caller(key=name), parent=parent, prompt_chars=40)
    return Outcome(request=asked, opened=1.0, completion_tokens=5)


def test_the_first_names_have_labels_and_all_others_share_one() -> None:
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    for number in range(MAX_NAMES + 50):
        metrics.count(ended(f"key-{number}"))
    metrics.refused("", "invalid_api_key")
    page = generate_latest(registry).decode()
    assert metric_in(page, "tierflow_key_requests_total", key="other") == 50
    assert metric_in(page, "tierflow_key_requests_total") == MAX_NAMES + 50
    assert page.count("tierflow_key_requests_total{") == MAX_NAMES + 1
    assert metric_in(page, "tierflow_key_refusals_total", key="none") == 1


def test_requests_of_the_gateways_own_count_as_tokens_of_the_key_alone() -> None:
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    metrics.count(ended("team-a"))
    metrics.count(ended("team-a", parent="r-1"))
    page = generate_latest(registry).decode()
    assert metric_in(page, "tierflow_key_requests_total", key="team-a") == 1
    assert metric_in(page, "tierflow_key_tokens_total", key="team-a") == 30
