"""Engines that die, refuse or say nothing: another endpoint answers, then another tier."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from openai import InternalServerError, OpenAI

from tests.integration.fleet import Fleet, events, question
from tests.servers import eventually, metric_in

pytestmark = pytest.mark.integration


def ask_many(fleet: Fleet, model: str, count: int = 8, **fields: Any) -> list[httpx.Response]:
    """Different prompts at the same time, so that routing spreads them."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda i: fleet.ask(model, f"{i} question", **fields), range(count)))


def endpoints(answers: list[httpx.Response]) -> set[str]:
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    return {answer.headers["x-tierflow-endpoint"] for answer in answers}


def test_different_prompts_spread_over_a_pool(fleet: Fleet) -> None:
    answers = ask_many(fleet, "rill-edge", 16, max_tokens=30)
    assert endpoints(answers) == {server.id for server in fleet.edge}


@pytest.mark.parametrize("stream", [False, True])
def test_when_an_endpoint_dies_the_other_answers_everything(fleet: Fleet, stream: bool) -> None:
    dead, alive = fleet.edge
    dead.kill()
    assert endpoints(ask_many(fleet, "tierflow-edge", stream=stream)) == {alive.id}
    eventually(
        lambda: fleet.ready()["pools"]["edge"]["endpoints"][dead.id] != "ok", "death is noticed"
    )
    assert fleet.ready()["pools"]["edge"]["ready"] is True


def test_an_endpoint_that_comes_back_takes_requests_again(fleet: Fleet) -> None:
    fleet.edge[0].kill()
    assert endpoints(ask_many(fleet, "rill-edge")) == {fleet.edge[1].id}
    fleet.restore()
    assert endpoints(ask_many(fleet, "rill-edge", 16, max_tokens=30)) == {
        server.id for server in fleet.edge
    }


def test_when_a_pool_dies_virtual_models_are_answered_by_the_other_tier(fleet: Fleet) -> None:
    for server in fleet.edge:
        server.kill()
    answers = [fleet.ask("tierflow-edge", f"{i} question") for i in range(4)]
    assert endpoints(answers) == {fleet.cloud.id}
    assert {answer.json()["model"] for answer in answers} == {"rill-cloud"}
    reasons = {answer.headers["x-tierflow-reason"] for answer in answers}
    assert reasons <= {"retry", "failover"}
    assert fleet.get("/health").status_code == 200
    eventually(lambda: not fleet.ready()["pools"]["edge"]["ready"], "the pool is out")
    report = fleet.ready()
    assert report["ready"] is True
    assert all(report["pools"]["edge"]["endpoints"][server.id] for server in fleet.edge)


def test_a_model_whose_pool_is_dead_is_a_503_that_says_when_to_retry(fleet: Fleet) -> None:
    for server in fleet.edge:
        server.kill()
    with (
        OpenAI(base_url=fleet.gateway.url + "/v1", api_key="none", max_retries=0) as client,
        pytest.raises(InternalServerError) as caught,
    ):
        client.completions.create(model="rill-edge", prompt="hi")
    assert caught.value.status_code == 503
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert caught.value.code in ("no_endpoint", "connect_failed")


def test_when_everything_is_dead_the_gateway_stays_in_service_and_says_what_is_down(
    fleet: Fleet,
) -> None:
    for server in fleet.engines:
        server.kill()

    def all_down() -> Any:
        answer = fleet.get("/ready")
        told = answer.json()["conditions"].get("pool-down", "")
        return answer if "cloud" in told and "edge" in told else None

    report = eventually(all_down, "its pools are down")
    assert report.status_code == 200
    assert not any(pool["ready"] for pool in report.json()["pools"].values())
    assert "edge: none of its 2 endpoints is healthy" in report.json()["conditions"]["pool-down"]
    refused = fleet.ask("tierflow-auto")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_endpoint")
    assert int(refused.headers["retry-after"]) >= 1
    assert {card["ready"] for card in fleet.get("/v1/models").json()["data"]} == {False}


def test_an_engine_that_fails_its_health_check_is_left_alone(fleet: Fleet) -> None:
    ill, well = fleet.edge
    fleet.fault(ill, unhealthy=True)
    eventually(lambda: "ok" != fleet.ready()["pools"]["edge"]["endpoints"][ill.id], "it is out")
    assert endpoints(ask_many(fleet, "rill-edge")) == {well.id}


@pytest.mark.parametrize("fault", [{"refuse": True}, {"error_probability": 1.0}])
def test_a_server_error_is_tried_elsewhere(fleet: Fleet, fault: dict[str, Any]) -> None:
    failing, well = fleet.edge
    fleet.fault(failing, **fault)
    assert endpoints(ask_many(fleet, "rill-edge")) == {well.id}


def test_when_every_engine_fails_the_caller_learns_why(fleet: Fleet) -> None:
    fleet.fault(*fleet.engines, error_probability=1.0)
    answer = fleet.ask("tierflow-auto")
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "upstream_error"
    assert answer.json()["error"]["message"].endswith("with status 500: A simulated failure.")


def test_an_engine_that_sends_no_first_byte_is_given_up_and_freed(fleet: Fleet) -> None:
    stuck, well = fleet.edge
    fleet.fault(stuck, hang_before_first_byte=True)
    answers = ask_many(fleet, "rill-edge", stream=True)
    assert endpoints(answers) == {well.id}
    assert "retry" in {answer.headers["x-tierflow-reason"] for answer in answers}
    assert all(events(answer.content)[-1] == "[DONE]" for answer in answers)
    eventually(lambda: stuck.metric("vllm:num_requests_running") == 0, "its slots are free")
    page = fleet.get("/metrics").text
    assert metric_in(page, "tierflow_retries_total", cause="first_token_timeout") > 0


def test_an_engine_that_sends_headers_but_no_token_is_given_up_too(fleet: Fleet) -> None:
    stuck, well = fleet.edge
    fleet.fault(stuck, hang_after_tokens=0)
    assert endpoints(ask_many(fleet, "rill-edge", stream=True)) == {well.id}


def test_an_answer_in_one_piece_that_never_comes_is_tried_elsewhere(fleet: Fleet) -> None:
    stuck, well = fleet.edge
    fleet.fault(stuck, hang_after_tokens=3)
    assert endpoints(ask_many(fleet, "rill-edge", 4)) == {well.id}


def test_a_connection_that_breaks_in_a_whole_answer_is_tried_elsewhere(fleet: Fleet) -> None:
    broken, well = fleet.edge
    fleet.fault(broken, close_after_tokens=1)
    assert endpoints(ask_many(fleet, "rill-edge")) == {well.id}


def test_a_new_model_on_an_engine_is_listed_and_served(fleet: Fleet) -> None:
    fleet.fault(fleet.cloud, models=["rill-cloud", "rill-cloud-v2"])

    def listed() -> bool:
        return "rill-cloud-v2" in fleet.get("/v1/models").text

    eventually(listed, "the new model is listed")
    assert fleet.ask("rill-cloud-v2").json()["model"] == "rill-cloud-v2"


def test_a_saturated_tier_overflows_to_the_next(fleet: Fleet) -> None:
    """Each edge engine runs two and lets two wait, which the gateway calls saturated."""
    fleet.fault(*fleet.edge, hang_after_tokens=1)
    with ThreadPoolExecutor(8) as pool, httpx.Client(timeout=30) as direct:
        for server in fleet.edge:
            for _ in range(4):
                body = question("rill-edge", stream=True)
                url = server.url + "/v1/chat/completions"
                pool.submit(leave_on_close, direct, url, body)

        def saturated() -> bool:
            page = fleet.get("/metrics").text
            return metric_in(page, "tierflow_endpoint_saturated", pool="edge") == 2

        try:
            eventually(saturated, "the edge is saturated")
            answer = fleet.ask("tierflow-edge")
        finally:
            for server in fleet.edge:
                server.kill()
    assert answer.headers["x-tierflow-tier"] == "cloud"
    assert answer.headers["x-tierflow-reason"] == "overflow"


def leave_on_close(client: httpx.Client, url: str, body: dict[str, Any]) -> None:
    """Holds a request open until the engine is gone."""
    try:
        client.post(url, json=body)
    except httpx.TransportError:
        pass
