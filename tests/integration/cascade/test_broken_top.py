"""One of two top engines breaks in the middle of its answer: the other goes on, unseen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.integration.cascade.chatting_engine import ChattingEngine, ids_of
from tests.integration.cascade.conftest import PREDICTOR, QUESTION, CascadeReply, TwoTiers, pools
from tests.integration.gateway_replicas import replicas
from tests.servers import eventually

pytestmark = pytest.mark.integration
SMALL = "First twelve, then 7 more: Answer: 19"
LARGE = "First twelve, then 8 more: Answer: 20 or, in words, twenty."


class TwoTops:
    """The cascade before one small engine and two large ones."""

    def __init__(self, tiers: TwoTiers, other: ChattingEngine) -> None:
        self.tiers = tiers
        self.larges = tiers.large, other

    def answer(self, stream: bool, act: Callable[[ChattingEngine], None]) -> CascadeReply:
        """The reply to a request that goes up; `act` is done to the large engine that it goes to,
        before that makes its first token."""
        for engine in self.larges:
            engine.gate.clear()
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(self.tiers.ask, stream)
            eventually(lambda: any(engine.running for engine in self.larges), "it goes up")
            busy = next(engine for engine in self.larges if engine.running)
            act(busy)
            for engine in self.larges:
                engine.gate.set()
            return asking.result(30)

    def resumed(self, cause: str) -> float:
        name = "tierflow_resumptions_total"
        return self.tiers.gateways.metric(name, way="cascade", outcome="resumed", cause=cause)


def cut(engine: ChattingEngine) -> None:
    engine.breaks_after = 40


@pytest.fixture(scope="module")
def tops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoTops]:
    folder = tmp_path_factory.mktemp("tops")
    predictor = folder / "predictor.json"
    predictor.write_text(json.dumps(PREDICTOR))
    with ExitStack() as stack:
        small, *larges = ChattingEngine("rill-edge"), ChattingEngine(), ChattingEngine()
        for engine in (small, *larges):
            engine.replies = {QUESTION: SMALL if engine is small else LARGE}
            engine.start()
            stack.callback(engine.stop)
        small.doubts = {20}
        config = {
            "pools": pools(small, larges[0]),
            "scrape": {"interval_s": 0.2},
            "timeouts": {"first_token_s": 5.0, "idle_s": 5.0, "answer_s": 5.0},
            "ejection": {"first_pause_s": 0.01, "longest_pause_s": 0.01},
            "cascade": {"predictor": str(predictor)},
        }
        cloud = config["pools"]["cloud"]
        cloud["endpoints"].append(larges[1].url)
        cloud["mailboxes"].append(larges[1].mailbox)
        gateways = stack.enter_context(replicas(folder, config))
        http = stack.enter_context(gateways.http())
        found = TwoTops(TwoTiers(small, larges[0], gateways, http, []), larges[1])
        eventually(lambda: gateways.each[0].answers("/ready"), "it is ready")
        yield found


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_whose_top_engine_is_cut_is_the_tops_own(tops: TwoTops, stream: bool) -> None:
    before = tops.resumed("engine_disconnected")
    reply = tops.answer(stream, cut)
    for engine in tops.larges:
        engine.breaks_after = None
    assert (reply.text, reply.ids, reply.reason) == (LARGE, ids_of(LARGE), "stop")
    assert reply.about["degraded"] is None and reply.done is stream
    assert tops.resumed("engine_disconnected") == before + 1
    small, large = reply.about["stages"]
    assert (small["decision"], large["decision"]) == ("escalated", "answered")
    assert reply.usage["completion_tokens"] == small["tokens"] + large["tokens"]
