"""The gateway's endpoints are those that the API server lists as ready, whatever happens to it."""

from __future__ import annotations

import pytest

from tests.integration.discovery.cluster import Cluster
from tests.integration.fleet import events, question
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


def test_what_is_at_work_at_an_engine_that_leaves_goes_on_to_its_end(cluster: Cluster) -> None:
    first, second = cluster.start_engine(), cluster.start_engine()
    cluster.lists(first)
    gateway = cluster.start_gateway()
    cluster.until_in_rotation(first)
    body = question("rill-edge", stream=True) | {"max_tokens": 400}
    url = gateway.url + "/v1/chat/completions"
    with cluster.http.stream("POST", url, json=body) as answer:
        pieces = answer.iter_bytes()
        begun = next(pieces)
        cluster.lists(second, unready=(first,))
        cluster.until_in_rotation(second)
        # It left with the request at work there: the demand still counts it.
        running = first.metric("vllm:num_requests_running")
        demand = cluster.metric("tierflow_pool_demand", pool="edge")
        whole = begun + b"".join(pieces)
    assert (running, demand) == (1, 1)
    assert events(whole)[-1] == "[DONE]"
    assert cluster.ask("rill-edge").headers["x-tierflow-endpoint"] == second.id


def test_a_missing_right_is_told_in_ready(cluster: Cluster) -> None:
    cluster.api.server.refuse, cluster.api.server.say = 403, "cannot list resource"
    cluster.start_gateway(ready=False)
    eventually(
        lambda: "get, list and watch" in cluster.ready()["conditions"].get("discovery-lost", ""),
        "/ready names the right",
    )
    assert cluster.get("/ready").status_code == 503


def test_drafts_reach_an_engine_that_is_found(cluster: Cluster) -> None:
    # Nobody listens there: that it is tried, and told, is what shows that it is followed.
    secret = "a-secret-of-tests-only"
    engine = cluster.start_engine()
    cluster.lists(engine, drafts=1)
    cluster.start_gateway(discovery={"mailbox_secret": secret})
    cluster.until_in_rotation(engine)
    eventually(
        lambda: engine.id in cluster.ready()["conditions"].get("mailbox-lost", ""),
        "the mailbox is tried",
    )
    cluster.lists(unready=(engine,))
    eventually(lambda: "mailbox-lost" not in cluster.ready()["conditions"], "and given up")
