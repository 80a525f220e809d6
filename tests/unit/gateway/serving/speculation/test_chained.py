"""Ordinary requests of a chain: when its tiers in the middle begin, and when nobody drafts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.core.privacy import PrivacyRule
from gateway.core.speculation.job import Batch, DraftFacts, DraftRun
from gateway.core.types import EndpointState, InferenceRequest
from gateway.protocol.paths import CHAT
from gateway.serving.speculation.chained import ChainedModels, ChainedRequest, ChainSource
from tests.unit.gateway.build import request, state
from tests.unit.gateway.rig import SharedRig
from tests.unit.gateway.serving.chain.gains import leave_out_edge
from tests.unit.gateway.serving.devices.device_rig import until
from tests.unit.gateway.serving.speculation.test_drafted_server import Engines

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "ab"}]
PROMPT = [97, 98]
"""As the fakes read them."""


def models(rig: SharedRig, auto: str = "") -> ChainedModels:
    return ChainedModels(
        server=rig.server,
        engines=Engines(),
        endpoints=rig.endpoints,
        chains=rig.shared.chains,
        stages={"tierflow-edge-cloud": ("edge", "cloud")},
        auto=auto,
    )


class Chained:
    """A request of edge and cloud, with what it left at the cloud's engine."""

    def __init__(self, states: Sequence[EndpointState] | None = None, **fields: Any) -> None:
        self.rig = SharedRig(verified={"edge:1": lambda: [Batch(ids=[5, 6]), None]}, states=states)
        asked: InferenceRequest = request("tierflow-cloud", **fields)
        self.request = ChainedRequest(
            models=models(self.rig), stages=("edge", "cloud"), request=asked
        )
        self.left: list[DraftRun] = []

    def source(self, **fields: Any) -> ChainSource | None:
        cloud = next(each for each in self.rig.states if each.endpoint.id == "cloud:1")
        body = {"model": "rill-cloud", "messages": MESSAGES, "max_tokens": 9, **fields}
        return self.request.source(cloud.endpoint, DraftFacts(8, 100), CHAT, body)

    def leave(self, runs: Sequence[DraftRun]) -> bool:
        self.left += runs
        return True

    def prompts(self) -> list[list[int]]:
        return [list(job.prompt) for job in self.rig.verifier.jobs]

    async def end(self, source: ChainSource) -> None:
        source.close()
        await until(lambda: not any(each.in_flight for each in self.rig.states))


async def test_the_edge_begins_before_the_cloud_has_answered() -> None:
    chained = Chained()
    source = chained.source(temperature=0.7, stop=["x"])
    assert source is not None
    await until(lambda: chained.rig.verifier.made)
    (job,) = chained.rig.verifier.jobs
    assert list(job.prompt) == PROMPT
    assert job.sampling == {"temperature": 0.0, "max_tokens": 9}
    source.start(chained.leave)
    await until(lambda: chained.left)
    assert chained.left == [(0, [5, 6], [])]
    source.prompt(PROMPT)
    source.advance([5, 6, 7])
    await chained.end(source)
    (report,) = chained.rig.chains.reports
    assert (report.chain, report.written) == ("edge-cloud", {"edge": 2, "cloud": 1})
    assert chained.prompts() == [PROMPT]


async def test_it_is_told_who_wrote_each_token_first() -> None:
    chained = Chained()
    source = chained.source()
    assert source is not None
    source.start(chained.leave)
    source.prompt(PROMPT)
    await until(lambda: chained.left)
    assert source.advance([5, 9]) == ["edge", "verifier"]
    await chained.end(source)


async def test_what_the_cloud_says_of_the_prompt_goes_before_what_the_edge_read() -> None:
    chained = Chained()
    source = chained.source()
    assert source is not None
    await until(lambda: chained.rig.verifier.made)
    source.start(chained.leave)
    source.prompt([1, 2, 3])
    await until(lambda: len(chained.rig.verifier.made) == 2)
    assert chained.prompts() == [PROMPT, [1, 2, 3]]
    await chained.end(source)


@pytest.mark.parametrize(
    "fields",
    [{"tools": [{"type": "function"}]}, {"add_generation_prompt": False}, {"documents": [{}]}],
)
async def test_where_more_than_its_messages_makes_the_prompt_the_edge_waits_for_its_ids(
    fields: dict[str, Any],
) -> None:
    chained = Chained()
    source = chained.source(**fields)
    assert source is not None
    source.start(chained.leave)
    source.prompt([1, 2, 3])
    await until(lambda: chained.rig.verifier.made)
    assert chained.prompts() == [[1, 2, 3]]
    assert chained.rig.verifier.tokenized == []
    await chained.end(source)
    assert len(chained.rig.chains.reports) == 1


async def test_a_tier_that_is_left_out_is_asked_for_nothing() -> None:
    chained = Chained()
    leave_out_edge(chained.rig.shared.chains)
    source = chained.source()
    assert source is not None
    source.start(chained.leave)
    await asyncio.sleep(0)
    source.prompt(PROMPT)
    source.advance([5, 6])
    await chained.end(source)
    assert chained.prompts() == []
    assert chained.rig.verifier.tokenized == []
    (report,) = chained.rig.chains.reports
    assert (report.used, report.written) == ([], {"cloud": 2})


async def test_a_tier_that_may_not_see_the_request_is_not_told_its_prompt() -> None:
    private = PrivacyRule.of(owner_tiers=[], private_tiers=[]).classes["private"]
    chained = Chained(privacy=private)
    source = chained.source()
    assert source is not None
    source.start(chained.leave)
    source.prompt(PROMPT)
    source.advance([5])
    await chained.end(source)
    assert chained.rig.verifier.jobs == []
    assert chained.rig.verifier.tokenized == []


@pytest.mark.parametrize(
    ("cloud", "reason"),
    [
        (state("cloud:1", "cloud", tokenizer=""), "tokenizer-unknown"),
        (state("cloud:1", "edge", model="rill-cloud"), "another-tier"),
    ],
)
async def test_where_there_can_be_no_chain_the_reason_is_told(
    cloud: EndpointState, reason: str
) -> None:
    chained = Chained([state("edge:1"), cloud])
    cloud.tokenizer = "f" if reason == "another-tier" else None
    assert chained.source() is None
    assert chained.rig.chains.reasons == [("edge-cloud", reason)]


@pytest.mark.parametrize(
    ("asked", "chain", "auto", "chained"),
    [
        ("tierflow-cloud", "tierflow-edge-cloud", "", True),
        ("tierflow-auto", "", "tierflow-edge-cloud", True),
        ("tierflow-auto", "", "", False),
        ("tierflow-cloud", "", "tierflow-edge-cloud", False),
    ],
)
async def test_chains_are_for_those_who_ask_and_for_auto_where_the_settings_say_so(
    asked: str, chain: str, auto: str, chained: bool
) -> None:
    way = models(SharedRig(), auto).way(request(asked, chain=chain))
    assert (way is not None) == chained
