"""The gateway's endpoints are those that the API server lists as ready, whatever happens to it."""

from __future__ import annotations

import pytest

from tests.integration.discovery.cluster import Cluster
from tests.servers import eventually

pytestmark = pytest.mark.integration


def test_an_engine_that_appears_answers_and_one_that_turns_unready_is_left(
    cluster: Cluster,
) -> None:
    first, second = cluster.start_engine(), cluster.start_engine()
    cluster.lists(first)
    cluster.start_gateway()
    cluster.until_in_rotation(first)
    assert cluster.ask("rill-edge").headers["x-tierflow-endpoint"] == first.id

    cluster.lists(second)
    cluster.until_in_rotation(first, second)

    cluster.lists(unready=(first,))
    # Its own health stays good: only the API server says that it is to be left.
    eventually(lambda: first.id not in cluster.in_rotation(), "the unready one is out", 1.0)
    asked = {cluster.ask("rill-edge").headers["x-tierflow-endpoint"] for _ in range(8)}
    assert asked == {second.id}
    assert cluster.metric("tierflow_endpoint_up", endpoint=first.id) == 0
    assert first.id not in cluster.get("/metrics").text.partition("tierflow_endpoint_up")[2]


def test_the_last_known_endpoints_answer_while_the_api_server_is_lost(cluster: Cluster) -> None:
    first, second = cluster.start_engine(), cluster.start_engine()
    cluster.lists(first)
    cluster.start_gateway()
    cluster.until_in_rotation(first)
    assert cluster.metric("tierflow_discovery_connected", namespace="tierflow") == 1

    cluster.api.run(cluster.api.server.stop())
    eventually(lambda: "discovery-lost" in cluster.ready()["conditions"], "/ready tells the loss")
    assert cluster.get("/ready").status_code == 200
    assert "stay in use" in cluster.ready()["conditions"]["discovery-lost"]
    assert cluster.metric("tierflow_discovery_connected", namespace="tierflow") == 0
    assert cluster.ask("rill-edge").status_code == 200

    cluster.lists(second)
    cluster.api.run(cluster.api.server.start())
    cluster.until_in_rotation(first, second)
    assert "discovery-lost" not in cluster.ready()["conditions"]
    assert cluster.metric("tierflow_discovery_connected", namespace="tierflow") == 1
