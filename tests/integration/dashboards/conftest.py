"""The stack and its Prometheus, each once for all queries; both stop with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards import queries
from tests.integration.dashboards.prometheus import Prometheus, prometheus
from tests.integration.dashboards.stack import Stack, stack
from tests.servers import eventually


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("dashboards")) as made:
        yield made


@pytest.fixture(scope="package")
def watched(running: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus that has seen each series before and after it grew."""
    addresses = {
        "gateway:8081": [gateway.id for gateway in running.gateways],
        "edge:8000": [engine.id for engine in running.edge],
        "cloud:8000": [running.large.id],
        "device:8090": [running.agent.id],
        # One device is enough for every query.
        **{f"device-{name}:8090": [] for name in ("mathematics", "code", "reading")},
    }
    with prometheus(tmp_path_factory.mktemp("prometheus"), addresses) as made:
        pages = "".join(running.page(server) for server in running.servers)
        named = {each.metric for query in queries() for each in query.selectors}
        # A series that no page has fails the tests of its query, not all of them.
        there = [metric for metric in named if f"\n{metric}" in pages]

        def first_seen() -> bool:
            return all(made.query(metric) for metric in there)

        eventually(first_seen, "every series of the first traffic is there")
        running.traffic()
        yield made
