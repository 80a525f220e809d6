"""A stream whose engine breaks goes on at another one: its caller sees the one answer, and no more.

The references are the engine's own answers, asked directly. Behind both endpoints of the gateway
stands the same engine, each behind a proxy that cuts streams in the middle of an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.protocol.device_link import speculation as wire
from gateway.protocol.tokenizer import PROBE, fingerprint
from tests.deployment import FAMILY, gateway_ready, simulators
from tests.engines import Engines
from tests.integration.continuation.cutting_proxy import CuttingProxy, cutting_proxy
from tests.integration.continuation.streamed_answer import StreamedAnswer, streamed_answer
from tests.integration.device import TOKEN, connected
from tests.integration.devices.device_gateway import digest
from tests.servers import Server, eventually, start_gateway, start_simulator

pytestmark = pytest.mark.integration
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MODEL = "rill-edge"
QUESTION = (
    "Ruth owns 13 nuts. Then Ruth gets 8 from Emma. Then Ruth gets 6 from Emma. "
    "Then Ruth buys 6 more. How many nuts are left?"
)
"""With a long answer, which the models of the family know to its end."""
LONG_JSON = {
    "type": "json_schema",
    "json_schema": {"name": "list", "schema": {"const": [f"line {line}" for line in range(9)]}},
}
"""Many events long, however many tokens a busy engine puts into one."""
COUNTED = {"stream_options": {"include_usage": True}}
ASKED: dict[str, Any] = {"model": MODEL, "max_tokens": 48, "temperature": 0, "stream": True}
CASES = [
    pytest.param(CHAT, {}, id="chat"),
    pytest.param(CHAT, COUNTED | {"return_token_ids": True}, id="chat, ids"),
    pytest.param(CHAT, COUNTED | {"logprobs": True, "top_logprobs": 3}, id="chat, logprobs"),
    pytest.param(CHAT, COUNTED | {"logprobs": True}, id="chat, one logprob"),
    pytest.param(CHAT, COUNTED | {"max_tokens": 9}, id="chat, few tokens"),
    pytest.param(CHAT, COUNTED | {"stop": ["never said at all"]}, id="chat, a stop text"),
    pytest.param(COMPLETIONS, COUNTED, id="completion"),
    pytest.param(COMPLETIONS, {"return_token_ids": True, "logprobs": 2}, id="completion, logprobs"),
    pytest.param(
        COMPLETIONS,
        {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        id="completion, running usage",
    ),
]


@dataclass
class Place:
    engine: Server
    gateway: Server
    proxies: list[CuttingProxy]
    http: httpx.Client
    simulated: bool
    endpoint: str = ""

    @cached_property
    def prompt(self) -> list[int]:
        """The question as the chat template renders it."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
        ids: list[int] = self.http.post(self.engine.url + "/tokenize", json=body).json()["tokens"]
        return ids

    @cached_property
    def tokenizer(self) -> str:
        body = {"model": MODEL, "prompt": PROBE, "add_special_tokens": False}
        ids = self.http.post(self.engine.url + "/tokenize", json=body).json()["tokens"]
        return fingerprint(ids)

    def ask(self, server: Server, path: str, fields: dict[str, Any]) -> StreamedAnswer:
        # What a model says after an answer's end is close to chance, and rounding decides it.
        body = {**ASKED, "ignore_eos": self.simulated, **fields}
        if path == CHAT:
            body.setdefault("messages", [{"role": "user", "content": QUESTION}])
        else:
            body.setdefault("prompt", self.prompt)
        with self.http.stream("POST", server.url + path, json=body) as answer:
            assert answer.status_code == 200, answer.read()
            self.endpoint = answer.headers.get("x-tierflow-endpoint", "")
            return streamed_answer(answer.iter_lines())

    @property
    def cuts(self) -> int:
        return sum(proxy.cuts for proxy in self.proxies)

    def resumed(self, outcome: str, **labels: str) -> float:
        return self.gateway.metric("tierflow_resumptions_total", outcome=outcome, **labels)


@pytest.fixture(
    scope="module",
    params=["simulator", pytest.param("vllm", marks=pytest.mark.engine("edge"))],
)
def whole_place(
    request: pytest.FixtureRequest, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("continuation")
    with ExitStack() as stack:
        if request.param == "simulator":
            engine = start_simulator(MODEL, folder, "--decode-tokens-per-s", "400")
            stack.callback(engine.stop)
        else:
            engine = engines.get("edge").server
        proxies = [stack.enter_context(cutting_proxy(engine.url)) for _ in range(2)]
        pool = {"tier": "edge", "endpoints": [proxy.url for proxy in proxies]}
        config = {
            "family": FAMILY,
            "pools": {"edge": pool},
            "scrape": {"interval_s": 0.2},
            # Endpoints that break all the time stay in use.
            "ejection": {"first_pause_s": 0.01, "longest_pause_s": 0.01},
            "timeouts": {"usual_floor_s": 0.5},
            "devices": {"tokens": {"phone": digest(TOKEN)}},
        }
        gateway = start_gateway(config, folder)
        stack.callback(gateway.stop)
        eventually(lambda: all_well(gateway), "both endpoints are well")
        http = stack.enter_context(httpx.Client(timeout=60, trust_env=False))
        yield Place(engine, gateway, proxies, http, request.param == "simulator")


def all_well(gateway: Server) -> bool:
    pools = gateway_ready(gateway)["pools"].values()
    return {state for pool in pools for state in pool["endpoints"].values()} == {"ok"}


@pytest.fixture
def place(whole_place: Place) -> Place:
    """With proxies that cut nothing."""
    for proxy in whole_place.proxies:
        proxy.heal()
    return whole_place


@pytest.mark.parametrize(("path", "fields"), CASES)
def test_the_caller_sees_one_answer_the_engines_own(
    place: Place, path: str, fields: dict[str, Any]
) -> None:
    reference = place.ask(place.engine, path, fields)
    before = place.resumed("resumed")
    for proxy in place.proxies:
        proxy.cut(after=4, times=2)
    answer = place.ask(place.gateway, path, fields)
    assert answer.error is None
    assert answer.said == reference.said
    assert len(answer.heads) == 1
    assert answer.running_usage == sorted(answer.running_usage)
    assert 1 <= place.resumed("resumed") - before <= place.cuts


def test_a_cascades_answer_is_the_top_tiers_own(place: Place) -> None:
    reference = place.ask(place.engine, CHAT, COUNTED)
    before = place.resumed("resumed", way="cascade")
    for proxy in place.proxies:
        proxy.cut(after=4, times=1)
    answer = place.ask(place.gateway, CHAT, COUNTED | {"model": "tierflow-cascade"})
    assert answer.error is None and answer.done and len(answer.heads) == 1
    assert (answer.text, answer.end[0]) == (reference.text, reference.end[0])
    assert 1 <= place.resumed("resumed", way="cascade") - before <= place.cuts


def test_a_collective_whose_aggregator_breaks_goes_on(place: Place) -> None:
    """Its proposers are samples of the same model, so only the form of the answer is known."""
    before = place.resumed("resumed", way="collective")
    for proxy in place.proxies:
        proxy.cut(after=2, times=1)
    answer = place.ask(place.gateway, CHAT, {"model": "tierflow-collective"})
    assert answer.error is None and answer.done and len(answer.heads) == 1
    assert answer.text and answer.end[0] in ("stop", "length")
    assert 1 <= place.resumed("resumed", way="collective") - before <= place.cuts


@pytest.mark.anyio
async def test_a_device_hears_one_answer_the_engines_own(place: Place) -> None:
    reference = place.ask(place.engine, COMPLETIONS, {"return_token_ids": True})
    before = place.resumed("resumed", way="draft")
    for proxy in place.proxies:
        proxy.cut(after=4, times=1)
    sampling = wire.Sampling(
        temperature=0, max_tokens=ASKED["max_tokens"], ignore_eos=place.simulated
    )
    async with connected(place.gateway.url) as device:
        await device.put(
            wire.Open(
                s=1, tier="edge", tokenizer=place.tokenizer, prompt=place.prompt, sampling=sampling
            )
        )
        ids, _ = await device.answer(1)
    assert ids == reference.ids
    assert 1 <= place.resumed("resumed", way="draft") - before <= place.cuts


def test_a_stop_text_that_lies_across_the_break_ends_the_answer(place: Place) -> None:
    whole = place.ask(place.engine, CHAT, {}).text
    stop = whole[12:30]
    fields = COUNTED | {"stop": [stop]}
    reference = place.ask(place.engine, CHAT, fields)
    assert reference.end == ("stop", stop)
    for after in (1, 2, 3, 4):
        for proxy in place.proxies:
            proxy.cut(after, times=1)
        answer = place.ask(place.gateway, CHAT, fields)
        assert (answer.text, answer.end) == (reference.text, reference.end)
        assert answer.done and answer.error is None


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"n": 2, "temperature": 1.0}, 5),
        ({"response_format": LONG_JSON}, 3),
    ],
)
def test_what_nobody_can_go_on_with_ends_in_one_clean_error(
    place: Place, fields: dict[str, Any], after: int
) -> None:
    """Behind the first token, and long before the answer's end."""
    for proxy in place.proxies:
        proxy.cut(after, times=9)
    answer = place.ask(place.gateway, CHAT, fields)
    assert answer.error["code"] == "engine_disconnected"
    assert not answer.done


@pytest.mark.parametrize(
    ("path", "body"),
    [(CHAT, {"messages": [{"role": "user", "content": "Hi"}]}), (COMPLETIONS, {"prompt": "Hi"})],
)
def test_token_ids_that_the_gateway_needs_for_itself_are_not_shown(
    place: Place, path: str, body: dict[str, Any]
) -> None:
    shown = []
    for server in (place.engine, place.gateway):
        answer = place.http.post(server.url + path, json={**ASKED, **body})
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if '"choices"' in line]
        shown.append({(*event, *choice) for event in events for choice in event["choices"]})
        assert all(not choice.get("token_ids") for event in events for choice in event["choices"])
    assert shown[0] == shown[1]


def test_a_silent_engine_is_left_for_another(place: Place) -> None:
    """Sooner than the idle timeout where silence for so long is unusual there."""
    if not place.simulated:
        pytest.skip("the simulator falls silent on command")
    reference = place.ask(place.engine, CHAT, COUNTED)
    for _ in range(12):
        assert place.ask(place.gateway, CHAT, COUNTED).said == reference.said
    (usual,) = [proxy for proxy in place.proxies if proxy.url.endswith(place.endpoint)]
    usual.stall(after=4, times=1)
    answer = place.ask(place.gateway, CHAT, COUNTED)
    assert answer.said == reference.said and answer.error is None
    assert usual.cuts == 1


def test_where_no_engine_of_the_model_is_left_another_of_the_family_goes_on(
    tmp_path: Path,
) -> None:
    """Only where the caller left the model to the gateway."""
    with ExitStack() as stack:
        edge, cloud = simulators(tmp_path, stack)
        proxy = stack.enter_context(cutting_proxy(edge.url))
        pools = {"edge": proxy.url, "cloud": cloud.url}
        config = {
            "family": FAMILY,
            "pools": {name: {"tier": name, "endpoints": [url]} for name, url in pools.items()},
            "scrape": {"interval_s": 0.2},
            "continuation": {"patience_s": 0},
        }
        gateway = start_gateway(config, tmp_path)
        stack.callback(gateway.stop)
        eventually(lambda: all_well(gateway), "both pools are ready")
        http = stack.enter_context(httpx.Client(timeout=60, trust_env=False))
        place = Place(edge, gateway, [proxy], http, simulated=True)
        reference = place.ask(edge, CHAT, {})
        proxy.cut(after=5, times=9)
        answer = place.ask(gateway, CHAT, {"model": "tierflow-edge"})
        assert answer.error is None and answer.done and answer.end == ("length", None)
        assert answer.text.split()[:3] == reference.text.split()[:3]
        assert {head[3] for head in answer.heads} == {"rill-edge", "rill-cloud"}
        proxy.cut(after=5, times=9)
        assert place.ask(gateway, CHAT, {}).error["code"] == "engine_disconnected"
