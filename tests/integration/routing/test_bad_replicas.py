"""One bad replica among good ones: no caller sees it, whatever is wrong with it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.routing.faulty_engine import (
    ERROR,
    FAULTS,
    HANGS,
    REFUSALS,
    FaultyEngine,
    serving,
)
from tests.servers import Server, eventually, metric_in, start_gateway

pytestmark = pytest.mark.integration

REQUESTS, AT_ONCE = 48, 8
GATEWAY = {
    "scrape": {"interval_s": 0.1, "failures": 2},
    "timeouts": {"connect_s": 2.0, "first_token_s": 20.0, "answer_s": 20.0, "usual_floor_s": 0.3},
    "retries": {"ratio": 0.05},
    "ejection": {"first_pause_s": 0.3, "longest_pause_s": 0.3, "slow_start_s": 0.1},
}


@dataclass
class Replicas:
    """Pools of one to three replicas behind one gateway; the first of each may be bad."""

    pools: dict[str, list[FaultyEngine]]
    gateway: Server
    http: httpx.Client

    def ask(self, pool: str, number: int = 0, *, stream: bool = False) -> httpx.Response:
        message = {"role": "user", "content": f"{number} times 7?"}
        request = {"model": f"{pool}-model", "messages": [message], "stream": stream}
        return self.http.post(self.gateway.url + "/v1/chat/completions", json=request)

    def ask_many(self, pool: str, *, stream: bool, count: int = REQUESTS) -> list[httpx.Response]:
        with ThreadPoolExecutor(AT_ONCE) as workers:
            return list(
                workers.map(lambda number: self.ask(pool, number, stream=stream), range(count))
            )

    def condition(self, engine: FaultyEngine) -> str:
        pools = self.http.get(self.gateway.url + "/ready").json()["pools"].values()
        return str(next(p["endpoints"][engine.id] for p in pools if engine.id in p["endpoints"]))

    def metric(self, name: str, **labels: str) -> float:
        return metric_in(self.http.get(self.gateway.url + "/metrics").text, name, **labels)

    def log(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(x) for x in self.gateway.log.read_text().splitlines() if x[:1] == "{"]
        return [line for line in lines if line.get("event") == event]

    def restore(self) -> None:
        used = {name: self.pools[name] for name in ("two", "three")}
        engines = [engine for pool in used.values() for engine in pool]
        for engine in engines:
            engine.fault, engine.health = None, 200

        def well() -> bool:
            for name in used:
                self.ask_many(name, stream=True, count=AT_ONCE)
            return all(self.condition(engine) == "ok" for engine in engines)

        eventually(well, "every replica is in use")


@pytest.fixture(scope="module")
def all_replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    pools = {
        "one": [FaultyEngine("one-model")],
        "two": [FaultyEngine("two-model") for _ in range(2)],
        "three": [FaultyEngine("three-model") for _ in range(3)],
    }
    engines = [engine for pool in pools.values() for engine in pool]
    with serving(engines), httpx.Client(timeout=60, trust_env=False) as http:
        config = {
            "pools": {
                name: {"tier": "edge", "profile": "spread", "endpoints": [e.url for e in pool]}
                for name, pool in pools.items()
            },
            **GATEWAY,
        }
        gateway = start_gateway(config, tmp_path_factory.mktemp("gateway"))
        try:
            yield Replicas(pools, gateway, http)
        finally:
            gateway.stop()


@pytest.fixture
def replicas(all_replicas: Replicas) -> Replicas:
    all_replicas.restore()
    return all_replicas


def assert_answered(answers: list[httpx.Response], good: list[FaultyEngine]) -> None:
    assert [a.status_code for a in answers] == [200] * len(answers), [a.text for a in answers]
    assert {answer.headers["x-tierflow-endpoint"] for answer in answers} <= {e.id for e in good}
    for answer in answers:
        if answer.headers["content-type"] == "text/event-stream":
            assert answer.text.endswith("data: [DONE]\n\n")
            assert '"content": "4"' in answer.text and '"content": "2"' in answer.text
        else:
            assert answer.json()["choices"][0]["message"]["content"] == "42"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("pool", ["two", "three"])
def test_no_caller_sees_a_bad_replica(replicas: Replicas, pool: str, fault: str) -> None:
    bad, *good = replicas.pools[pool]
    stream = "event" in fault or "stream" in fault
    bad.fault = fault
    delivered = bad.delivered
    assert_answered(replicas.ask_many(pool, stream=stream), good)
    # It was left alone after a few: at once where it said so, otherwise when it was ejected.
    assert bad.delivered - delivered <= REQUESTS / 2


@pytest.mark.parametrize("pool", ["two", "three"])
def test_requests_leave_a_replica_that_hangs(replicas: Replicas, pool: str) -> None:
    bad, *good = replicas.pools[pool]
    replicas.ask_many(pool, stream=True)
    bad.fault = HANGS
    answers = replicas.ask_many(pool, stream=True)
    assert_answered(answers, good)
    assert max(answer.elapsed.total_seconds() for answer in answers) < 10.0
    assert replicas.metric("tierflow_retries_total", pool=pool, cause="endpoint_silent") > 0
    eventually(lambda: bad.waiting == 0, "nothing is left there")


def test_requests_that_wait_are_moved_when_the_look_at_their_endpoint_fails(
    replicas: Replicas,
) -> None:
    bad, *good = replicas.pools["two"]
    bad.fault = HANGS
    with ThreadPoolExecutor(AT_ONCE) as workers:
        answers = [workers.submit(replicas.ask, "two", number) for number in range(AT_ONCE)]
        eventually(lambda: bad.waiting >= 1, "some wait there")
        bad.health = 500
        assert_answered([answer.result() for answer in answers], good)
    assert replicas.metric("tierflow_retries_total", cause="endpoint_down") >= 1


@pytest.mark.parametrize("fault", REFUSALS)
def test_what_is_wrong_with_the_callers_request_is_told_and_not_retried(
    replicas: Replicas, fault: str
) -> None:
    for engine in replicas.pools["two"]:
        engine.fault = fault
    delivered = sum(engine.delivered for engine in replicas.pools["two"])
    answers = replicas.ask_many("two", stream="event" in fault, count=AT_ONCE)
    assert {answer.status_code for answer in answers} == {int(fault[:3])}
    assert {answer.json()["error"]["code"] for answer in answers} == {"engine_refused"}
    assert sum(engine.delivered for engine in replicas.pools["two"]) == delivered + AT_ONCE
    assert {replicas.condition(engine) for engine in replicas.pools["two"]} == {"ok"}


@pytest.mark.parametrize("fault", ["404", "422", "html 413"])
def test_a_refusal_that_two_replicas_agree_on_is_told_and_asked_no_third(
    replicas: Replicas, fault: str
) -> None:
    for engine in replicas.pools["three"]:
        engine.fault = fault
    delivered = sum(engine.delivered for engine in replicas.pools["three"])
    answers = replicas.ask_many("three", stream=False, count=AT_ONCE)
    assert {str(answer.status_code) for answer in answers} == {fault[-3:]}
    assert sum(e.delivered for e in replicas.pools["three"]) <= delivered + 2 * AT_ONCE
    assert {replicas.condition(engine) for engine in replicas.pools["three"]} == {"ok"}


def test_what_is_delivered_is_what_is_counted(replicas: Replicas) -> None:
    pool = replicas.pools["two"]
    pool[0].fault = "closes"
    delivered = sum(engine.delivered for engine in pool)
    retries = partial(replicas.metric, "tierflow_retries_total", pool="two")
    before, stale_before = retries(), retries(cause="stale_connection")
    replicas.ask_many("two", stream=False)
    more, stale = retries() - before, retries(cause="stale_connection") - stale_before
    # What was sent on a kept connection that was closed at that moment did not arrive.
    arrived = sum(engine.delivered for engine in pool) - delivered
    assert REQUESTS + more - stale <= arrived <= REQUESTS + more


def test_an_ejected_replica_is_named_counted_logged_and_tried_again(replicas: Replicas) -> None:
    bad, *good = replicas.pools["two"]
    bad.fault = "500"
    ejections = replicas.metric("tierflow_ejections_total", pool="two", cause="engine_error")
    assert_answered(replicas.ask_many("two", stream=False), good)
    assert replicas.metric("tierflow_ejections_total", pool="two") > ejections
    standing = {"endpoint": bad.id, "standing": "good"}
    assert replicas.metric("tierflow_endpoint_standing", **standing) == 0
    assert replicas.condition(bad).startswith("ejected: its requests failed (engine_error)")
    conditions = replicas.http.get(replicas.gateway.url + "/ready").json()["conditions"]
    assert conditions["endpoint-ejected"] == f"requests failed at {bad.id} (engine_error)"
    assert replicas.metric("tierflow_condition", condition="endpoint-ejected") == 1
    line = replicas.log("endpoint_ejected")[-1]
    assert (line["level"], line["endpoint"]) == ("warning", bad.id)
    bad.fault = None

    def answers_again() -> bool:
        found = replicas.ask_many("two", stream=False, count=AT_ONCE)
        return bad.id in {answer.headers["x-tierflow-endpoint"] for answer in found}

    eventually(answers_again, "it is tried, and returns")
    assert replicas.log("endpoint_returned")[-1]["endpoint"] == bad.id
    conditions = replicas.http.get(replicas.gateway.url + "/ready").json()["conditions"]
    assert "endpoint-ejected" not in conditions


def test_where_all_are_bad_the_caller_is_told_the_truth_and_all_are_tried(
    replicas: Replicas,
) -> None:
    for engine in replicas.pools["two"]:
        engine.fault = "401"
    answers = replicas.ask_many("two", stream=False, count=AT_ONCE)
    assert {(a.status_code, a.json()["error"]["code"]) for a in answers} == {(502, "engine_denied")}
    assert all("www-authenticate" not in answer.headers for answer in answers)
    for engine in replicas.pools["two"]:
        engine.fault = None
    assert_answered(replicas.ask_many("two", stream=False, count=AT_ONCE), replicas.pools["two"])


@pytest.mark.parametrize(
    ("fault", "status", "seconds"), [("429 for 7 s", 429, "7"), ("503 for 9 s", 502, "9")]
)
def test_when_to_ask_again_reaches_the_caller(
    all_replicas: Replicas, fault: str, status: int, seconds: str
) -> None:
    all_replicas.pools["one"][0].fault = fault
    answer = all_replicas.ask("one")
    assert (answer.status_code, answer.headers["retry-after"]) == (status, seconds)


@pytest.mark.parametrize("stream", [False, True])
def test_the_engine_s_own_words_reach_the_caller_and_no_one_else(
    all_replicas: Replicas, stream: bool
) -> None:
    all_replicas.pools["one"][0].fault = "500"
    answer = all_replicas.ask("one", stream=stream)
    assert answer.status_code == 502
    words = ERROR["error"]["message"]
    assert answer.json()["error"]["message"].endswith(f"with status 500: {words}")
    gateway = all_replicas.gateway
    pages = [all_replicas.http.get(gateway.url + page).text for page in ("/ready", "/metrics")]
    assert not any(str(words) in told for told in [gateway.output(), *pages])


def test_one_request_that_no_engine_survives_ejects_none(replicas: Replicas) -> None:
    for engine in replicas.pools["three"]:
        engine.fault = "500"
    answer = replicas.ask("three")
    assert answer.status_code == 502
    for engine in replicas.pools["three"]:
        engine.fault = None
    assert {replicas.condition(engine) for engine in replicas.pools["three"]} == {"ok"}


def test_a_gateway_that_stood_still_takes_no_engine_for_dead(tmp_path: Path) -> None:
    """It stands still for longer than a connection, a look at an engine and a token may take."""
    engines = [FaultyEngine("one-model") for _ in range(2)]
    config: dict[str, Any] = {
        "scrape": {"interval_s": 0.01, "timeout_s": 1.0, "failures": 1},
        "timeouts": {"connect_s": 1.0, "first_token_s": 1.0, "answer_s": 1.0},
    }
    with serving(engines), httpx.Client(timeout=60, trust_env=False) as http:
        config["pools"] = {"one": {"tier": "edge", "endpoints": [e.url for e in engines]}}
        gateway = start_gateway(config, tmp_path)
        still = Replicas({"one": engines}, gateway, http)
        with ThreadPoolExecutor(1) as asking:
            answers = asking.submit(still.ask_many, "one", stream=True, count=5 * REQUESTS)
            eventually(lambda: engines[0].delivered, "requests are under way")
            os.kill(gateway.process.pid, signal.SIGSTOP)
            time.sleep(1.6)
            os.kill(gateway.process.pid, signal.SIGCONT)
            assert_answered(answers.result(), engines)
        assert still.log("endpoint_down") == []
        assert still.log("endpoint_ejected") == []
        gateway.stop()


def test_a_replica_that_is_dead_when_the_gateway_starts_is_logged(tmp_path: Path) -> None:
    engines = [FaultyEngine("one-model"), FaultyEngine("one-model", health=500)]
    with serving(engines):
        config = {"pools": {"one": {"tier": "edge", "endpoints": [e.url for e in engines]}}}
        gateway = start_gateway(config, tmp_path)
        gateway.stop()
    lines = [json.loads(x) for x in gateway.log.read_text().splitlines() if x[:1] == "{"]
    (down,) = [line for line in lines if line.get("event") == "endpoint_down"]
    assert (down["level"], down["endpoint"]) == ("warning", engines[1].id)
    assert down["problem"] == "/health answered 500"
