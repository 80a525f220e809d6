"""A pool without endpoints: its requests wait for the first one, or are refused at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from loadtest.kubernetes_api import endpoint_slice
from tests.integration.discovery.cluster import Cluster
from tests.integration.fleet import question
from tests.servers import eventually

pytestmark = pytest.mark.integration

ADMIN = "admin-token-of-tests-only"
HOLDING = {"edge": {"tier": "edge", "hold_s": 60}}


def asleep(cluster: Cluster) -> None:
    """What a cluster keeps of a pool that is scaled to zero."""
    item = endpoint_slice("asleep", model="rill-edge") | {"endpoints": None, "ports": None}
    cluster.api.do(lambda: cluster.api.server.put(item))


def asked(cluster: Cluster, model: str) -> tuple[ThreadPoolExecutor, Future[httpx.Response]]:
    pool = cluster.stack.enter_context(ThreadPoolExecutor(1))
    return pool, pool.submit(cluster.ask, model)


@pytest.mark.parametrize("model", ["rill-edge", "tierflow-auto"])
def test_a_request_wakes_the_pool_and_is_answered_by_its_first_endpoint(
    cluster: Cluster, model: str
) -> None:
    asleep(cluster)
    # Ready though nothing is up: it must be there to take the request that wakes the pool.
    cluster.start_gateway(pools=HOLDING)
    assert cluster.metric("tierflow_pool_demand", pool="edge") == 0
    _, answer = asked(cluster, model)
    # What an autoscaler scales on.
    eventually(lambda: cluster.metric("tierflow_pool_demand", pool="edge") == 1, "demand shows")
    assert cluster.ready()["pools"]["edge"]["held"] == 1

    engine = cluster.start_engine()
    cluster.lists(engine)
    found = answer.result(60)
    assert found.status_code == 200
    assert found.headers["x-tierflow-endpoint"] == engine.id
    eventually(lambda: cluster.metric("tierflow_pool_demand", pool="edge") == 0, "it is over")


def test_a_caller_that_leaves_leaves_no_demand(cluster: Cluster) -> None:
    asleep(cluster)
    gateway = cluster.start_gateway(pools=HOLDING)
    left = threading.Event()

    def ask_and_leave() -> None:
        with httpx.Client(trust_env=False, timeout=1.0) as client:
            with pytest.raises(httpx.ReadTimeout):
                client.post(gateway.url + "/v1/chat/completions", json=question("rill-edge"))
        left.set()

    thread = threading.Thread(target=ask_and_leave)
    thread.start()
    eventually(lambda: cluster.metric("tierflow_pool_held", pool="edge") == 1, "it is held")
    thread.join(20)
    assert left.is_set()
    eventually(lambda: cluster.metric("tierflow_pool_held", pool="edge") == 0, "it is let go")


def test_no_more_wait_than_may_queue_and_each_no_longer_than_it_should(cluster: Cluster) -> None:
    asleep(cluster)
    pools = {"edge": {"tier": "edge", "hold_s": 3}}
    cluster.start_gateway(pools=pools, limits={"max_queue": 1})
    _, first = asked(cluster, "rill-edge")
    eventually(lambda: cluster.metric("tierflow_pool_held", pool="edge") == 1, "one is held")
    refused = cluster.ask("rill-edge")
    assert (refused.status_code, error(refused)["code"]) == (429, "overloaded")
    late = first.result(30)
    assert (late.status_code, error(late)["code"]) == (503, "no_endpoint")
    assert "pool edge got no endpoint within 3 s" in error(late)["message"]
    assert late.headers["retry-after"]


def test_with_all_pools_at_zero_the_gateway_stays_in_its_service_and_answers_itself(
    cluster: Cluster,
) -> None:
    asleep(cluster)
    gateway = cluster.start_gateway(pools={"edge": {"tier": "edge"}}, admin={"token": ADMIN})
    ready = cluster.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["conditions"] == {"pool-down": "edge: no endpoint"}
    assert cluster.metric("tierflow_condition", condition="pool-down") == 1
    for model in ("rill-edge", "tierflow-auto"):
        refused = cluster.ask(model)
        assert (refused.status_code, error(refused)["code"]) == (503, "no_endpoint")
        assert int(refused.headers["retry-after"]) >= 1
    assert "tierflow-auto" in {card["id"] for card in cluster.get("/v1/models").json()["data"]}
    admin = {"authorization": f"Bearer {ADMIN}"}
    devices = cluster.http.get(gateway.url + "/v1/devices", headers=admin)
    assert (devices.status_code, devices.json()["data"]) == (200, [])

    engine = cluster.start_engine()
    cluster.lists(engine)
    cluster.until_in_rotation(engine)
    assert cluster.ask("rill-edge").status_code == 200
    cluster.lists(unready=(engine,))
    eventually(lambda: "pool-down" in cluster.ready()["conditions"], "the pool is empty again")
    assert cluster.get("/ready").status_code == 200


def test_a_cluster_without_any_pool_leaves_the_gateway_in_its_service(cluster: Cluster) -> None:
    cluster.start_gateway()
    assert cluster.get("/ready").json()["pools"] == {}
    assert error(cluster.ask("tierflow-auto"))["code"] == "no_endpoint"


def test_a_gateway_that_has_reached_no_engine_yet_takes_no_part_in_a_rollout(
    cluster: Cluster,
) -> None:
    engine = cluster.start_engine()
    cluster.lists(engine)
    engine.stop()
    cluster.start_gateway(ready=False, pools={"edge": {"tier": "edge"}})
    eventually(lambda: "pool-down" in cluster.ready()["conditions"], "it has looked")
    assert cluster.get("/ready").status_code == 503


def test_a_virtual_model_overflows_to_the_tier_that_is_up(cluster: Cluster) -> None:
    asleep(cluster)
    cloud = cluster.start_engine("rill-cloud")
    pools = {**HOLDING, "cloud": {"tier": "cloud", "endpoints": [cloud.url]}}
    cluster.start_gateway(pools=pools)
    eventually(lambda: cluster.ready()["pools"]["cloud"]["ready"], "the cloud is up")
    answer = cluster.ask("tierflow-edge")
    assert answer.headers["x-tierflow-endpoint"] == cloud.id
    assert cluster.metric("tierflow_pool_demand", pool="edge") == 0


def error(answer: httpx.Response) -> Any:
    return answer.json()["error"]
