"""Every query of every dashboard, asked of a real Prometheus that scrapes a running stack."""

from __future__ import annotations

from functools import partial

import pytest

from tests.dashboards import Query, filled, queries
from tests.integration.dashboards.prometheus import Prometheus, Sample
from tests.integration.dashboards.stack import STUCK
from tests.servers import eventually

pytestmark = pytest.mark.integration
QUERIES = pytest.mark.parametrize("query", queries(), ids=lambda query: query.name)
POOLS = ("edge", "cloud", "large")
AT_REST = {
    "tierflow_cascade_kept_tokens_total",
    "tierflow_collective_disagreements_total",
    "tierflow_collective_quorum_misses_total",
    "tierflow_collective_rounds_bucket",
    "tierflow_device_registrations_total",
    "tierflow_mailbox_events_total",
    "tierflow_pool_held",
    "tierflow_queued_requests",
    "vllm:num_preemptions_total",
    "tierflow_speculation_active_sessions",
    "tierflow_shed_requests_total",
    "tierflow_log_lines_dropped_total",
}
"""Zero in this stack: no device comes anew, nobody revises, waits for admission or is refused it,
the device's answers have ended, every line of the logs is written, samples agree, and no engine is
short of memory."""


@QUERIES
def test_every_series_that_a_query_selects_is_there(query: Query, watched: Prometheus) -> None:
    """Each selector by itself, so that no `or vector(0)` hides one that matches nothing."""
    for selector in query.selectors:
        alone = filled(selector.text, ".+")
        eventually(partial(watched.query, alone), f"series for {alone}")


@QUERIES
def test_a_query_has_data_with_every_label_of_its_legend(query: Query, watched: Prometheus) -> None:
    expression = filled(query.expression)
    rests = {selector.metric for selector in query.selectors} <= AT_REST | {"tierflow_endpoint_up"}

    def found() -> list[Sample]:
        samples = watched.query(expression)
        return samples if rests or any(sample.value > 0 for sample in samples) else []

    samples = eventually(found, f"a value for {expression}")
    for sample in samples:
        assert sample.labels.keys() == query.legend_labels, sample


def only(samples: list[Sample], **labels: str) -> float:
    (value,) = [each.value for each in samples if labels.items() <= each.labels.items()]
    return value


def by_panel(panel: str, ref: str = "A") -> str:
    (query,) = [query for query in queries() if (query.panel, query.ref) == (panel, ref)]
    return filled(query.expression)


def test_a_queue_that_two_gateways_see_counts_once(watched: Prometheus) -> None:
    waiting = by_panel("Waiting at the endpoints, as the gateways see it")
    eventually(lambda: only(watched.query(waiting), pool="large") == STUCK - 1, waiting)
    full = by_panel("Endpoints that are full or down")
    eventually(lambda: only(watched.query(full), pool="large") == 1, full)


def test_what_is_inside_each_gateway_adds_up(watched: Prometheus) -> None:
    inside = by_panel("In flight by pool")
    eventually(lambda: only(watched.query(inside), pool="large", tier="cloud") == STUCK, inside)
    everywhere = by_panel("At the gateway")
    eventually(lambda: only(watched.query(everywhere)) == STUCK, everywhere)


def test_all_endpoints_are_up_and_none_is_down(watched: Prometheus) -> None:
    assert only(watched.query(by_panel("Endpoints up"))) == 1
    down = watched.query(by_panel("Endpoints that are full or down", "B"))
    assert {each.labels["pool"]: each.value for each in down} == dict.fromkeys(POOLS, 0)


def test_a_callers_mistake_is_no_failure(watched: Prometheus) -> None:
    """Of a gateway's six requests a round, one fails; an unknown model's name is the caller's."""
    outcomes = watched.query(by_panel("Requests that did not end well"))
    assert {each.labels["outcome"] for each in outcomes} >= {"engine_error", "model_not_found"}
    failed = watched.query(by_panel("Failed"))
    requests = watched.query(by_panel("Requests"))
    errors = only(watched.query(by_panel("Requests that did not end well")), outcome="engine_error")
    assert only(failed) == pytest.approx(errors / only(requests), rel=0.7)


def test_without_traffic_panels_show_zero_and_not_nothing(watched: Prometheus) -> None:
    """The same queries over models that nobody asked for."""
    for query in queries():
        if "vector(0)" in query.expression:
            samples = watched.query(filled(query.expression, anything="nothing"))
            assert samples, query.name
