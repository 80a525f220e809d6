"""Greedy answers of real agents through the edge are those of the cloud alone: ids, text, reason.

Real vLLM in float32 at both tiers, the cloud behind a link that delays. One agent's drafts are
spoiled, and the edge's model errs by itself, so every tier writes some of the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from tests.engines import Engines
from tests.integration.exact.chain_fleet import ChainFleet, open_chain_fleet
from tests.integration.exact.chat import DEVICE_EDGE_CLOUD, DraftedReply, ask, questions
from tests.integration.exact.drafting_fleet import start_agent
from tests.servers import Server, eventually

pytestmark = [pytest.mark.integration, pytest.mark.engine("verifier", "middle")]
QUESTIONS = questions(8)
ENDLESS = range(1, 3)
"""Those whose answers go on beyond their own end, to `TOKENS`."""

AT_ONCE = 2
THROUGH = "device-edge-cloud"


@dataclass(frozen=True)
class Fleet:
    """`agents` draft, the second one's drafts are spoiled."""

    chain: ChainFleet
    agents: tuple[Server, Server]

    def sees_chain(self, number: int) -> bool:
        ready = httpx.get(self.agents[number].url + "/ready").json()
        return not ready["conditions"] and set(ready["tiers"]) == {"edge", "cloud"}


@pytest.fixture(scope="module")
def fleet(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("agents")
    cloud, edge = engines.get("verifier").verifier, engines.get("middle").verifier
    with ExitStack() as stack:
        chain = open_chain_fleet(edge, cloud, folder, stack)
        port = httpx.URL(chain.gateway.url).port
        assert port is not None
        first, second = (start_agent(number, port, folder, stack) for number in range(2))
        made = Fleet(chain, (first, second))
        for number in range(2):
            eventually(lambda number=number: made.sees_chain(number), "the agent sees the tiers")  # type: ignore[misc]
        yield made


@pytest.fixture(scope="module")
def references(fleet: Fleet) -> list[DraftedReply]:
    """What the cloud alone says."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(
            threads.map(
                lambda place: ask(
                    fleet.chain.gateway.url,
                    "rill-cloud",
                    QUESTIONS[place],
                    ignore_eos=place in ENDLESS,
                ),
                range(len(QUESTIONS)),
            )
        )


@pytest.fixture(scope="module")
def writers() -> Counter[str]:
    """Who wrote the tokens of the answers so far."""
    return Counter()


@pytest.mark.parametrize("delay_ms", [0, 25])
@pytest.mark.parametrize("agent", [0, 1], ids=["drafts", "spoiled"])
def test_answers_through_the_edge_are_the_clouds_own(
    fleet: Fleet,
    references: list[DraftedReply],
    writers: Counter[str],
    agent: int,
    delay_ms: int,
) -> None:
    fleet.chain.delay_cloud(delay_ms)
    url = fleet.agents[agent].url

    def answer(place: int) -> DraftedReply:
        return ask(url, DEVICE_EDGE_CLOUD, QUESTIONS[place], ignore_eos=place in ENDLESS)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        replies = list(threads.map(answer, range(len(QUESTIONS))))
    for reply, alone in zip(replies, references, strict=True):
        assert reply.unchanged == alone.unchanged
        about = reply.about
        assert (about["way"], about["degraded"]) == (THROUGH, None)
        assert about["verified_tokens"] == len(reply.ids)
        assert len(reply.by) == len(reply.ids)
        writers.update(reply.by)


def test_every_tier_wrote_some(writers: Counter[str]) -> None:
    """Runs after them."""
    assert set(writers) == {"draft", "edge", "verifier"}, writers
    assert writers["draft"] > 20, writers


def test_an_answer_that_is_not_streamed_is_the_same(
    fleet: Fleet, references: list[DraftedReply]
) -> None:
    fleet.chain.delay_cloud(0)
    whole = ask(fleet.agents[0].url, DEVICE_EDGE_CLOUD, QUESTIONS[0], False)
    assert whole.unchanged == references[0].unchanged


@pytest.mark.parametrize("agent", [0, 1], ids=["drafts", "spoiled"])
def test_an_edge_that_is_lost_in_the_middle_changes_nothing(
    fleet: Fleet, references: list[DraftedReply], agent: int
) -> None:
    fleet.chain.delay_cloud(10)
    cut = False

    def heard(reply: DraftedReply) -> None:
        nonlocal cut
        if not cut and len(reply.ids) > 10:
            cut = True
            fleet.chain.cut_edge(2.0)

    for place in ENDLESS:
        question, alone = QUESTIONS[place], references[place]
        reply = ask(
            fleet.agents[agent].url, DEVICE_EDGE_CLOUD, question, heard=heard, ignore_eos=True
        )
        assert cut
        assert reply.unchanged == alone.unchanged
        assert reply.about["unverified_tokens"] == 0
    fleet.chain.wait_for_edge()
