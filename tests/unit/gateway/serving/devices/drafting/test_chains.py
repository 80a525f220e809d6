"""Sessions through a tier in the middle: what each tier is asked and given, and who decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.core.speculation.job import Batch
from gateway.core.types import EndpointState
from gateway.protocol.device_link import speculation as wire
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import FakeVerification, VerifiedPiece, VerifiedScripts, broken
from tests.unit.gateway.serving.chain.gains import leave_out_edge
from tests.unit.gateway.serving.devices.device_rig import DeviceRig, FakeLink, opening, until

pytestmark = pytest.mark.anyio

SILENT: VerifiedScripts = {"edge:1": lambda: [None], "cloud:1": lambda: [None]}


@dataclass
class Chain:
    """A session under way: `cloud` accepts it when asked to."""

    rig: DeviceRig
    link: FakeLink

    async def accepted(self) -> FakeVerification:
        self.rig.verifier.accepting_at["cloud:1"].set()
        await until(lambda: self.link.of(wire.Opened))
        return self.at("cloud:1")[-1]

    def at(self, endpoint: str) -> list[FakeVerification]:
        """The answers of an engine, in order."""
        return [made for made in self.rig.verifier.made if made.endpoint == endpoint]

    async def edge(self, number: int = 0) -> FakeVerification:
        await until(lambda: len(self.at("edge:1")) > number)
        return self.at("edge:1")[number]

    def prompts(self, model: str) -> list[list[int]]:
        return [list(job.prompt) for job in self.rig.verifier.jobs if job.model == model]

    def expected(self) -> list[tuple[int, list[int]]]:
        return [(frame.p, frame.i) for frame in self.link.of(wire.Ahead)]

    async def end(self) -> wire.Done:
        await until(lambda: self.link.of(wire.Done) or self.link.of(wire.Error))
        (done,) = self.link.of(wire.Done)
        return done


@asynccontextmanager
async def chain_of(
    scripts: VerifiedScripts = SILENT,
    *more: EndpointState,
    takes_early: bool = False,
    **fields: Any,
) -> AsyncIterator[Chain]:
    """One device asks through the edge; nothing is left open when it has gone."""
    rig = DeviceRig([state("edge:1"), *more, state("cloud:1", "cloud")], scripts)
    rig.verifier.takes_early = takes_early
    rig.verifier.accepting_at["cloud:1"].clear()
    ask = opening(**{"tier": "cloud", "through": ("edge",), **fields})
    link = FakeLink(wire.Hello(wire.VERSION), ask)
    task = rig.connect(link)
    yield Chain(rig, link)
    link.leave()
    await task
    await until(lambda: not any(each.in_flight for each in rig.states))
    rig.assert_nothing_left_open()


async def test_what_the_middle_says_goes_up_as_drafts_and_down_as_expected() -> None:
    async with chain_of() as chain:
        edge = await chain.edge()
        edge.say(Batch(ids=[5, 6]), None)
        cloud = await chain.accepted()
        await until(lambda: cloud.drafts)
        assert cloud.drafts == [(0, [5, 6], [])]
        edge.say(Batch(ids=[7]), None)
        await until(lambda: len(chain.expected()) == 2)
        assert cloud.drafts[1] == (2, [7], [5, 6])
        assert chain.expected() == [(0, [5, 6]), (2, [7])]
        cloud.say(Batch(ids=[5, 6]), Batch(ids=[7, 8], reason="length"))
        assert (await chain.end()).completion_tokens == 4
        assert [(frame.i, frame.w, frame.d) for frame in chain.link.of(wire.Tokens)] == [
            ([5, 6], [1, 1], 1),
            ([7, 8], [1, 2], 1),
        ]
    assert edge.closed
    (report,) = chain.rig.chains.reports
    assert (report.chain, report.used) == ("device-edge-cloud", ["edge"])
    assert report.written == {"edge": 3, "cloud": 1}
    (middle,) = report.middles
    assert (middle.offered, middle.rollbacks, middle.streams) == (3, 0, 1)
    assert (middle.endpoint, middle.problem) == ("edge:1", "")


async def test_a_far_cloud_has_the_middles_words_before_it_has_taken_the_answer() -> None:
    async with chain_of(takes_early=True) as chain:
        edge = await chain.edge()
        edge.say(Batch(ids=[5, 6]), None)
        await until(lambda: chain.rig.verifier.early_drafts)
        assert chain.rig.verifier.early_drafts == [(0, [5, 6], [])]
        await until(lambda: chain.expected() == [(0, [5, 6])])
        cloud = await chain.accepted()
        edge.say(Batch(ids=[7]), None)
        await until(lambda: cloud.drafts)
        assert cloud.drafts == [(2, [7], [5, 6])]


async def test_where_the_cloud_says_otherwise_the_middle_goes_on_from_there() -> None:
    async with chain_of() as chain:
        edge = await chain.edge()
        edge.say(Batch(ids=[5, 6, 7]), None)
        cloud = await chain.accepted()
        cloud.say(Batch(ids=[5, 9]), None)
        again = await chain.edge(1)
        assert edge.closed
        assert chain.prompts("rill-edge") == [[1, 2, 3], [1, 2, 3, 5, 9]]
        again.say(Batch(ids=[4]), None)
        await until(lambda: (2, [4]) in chain.expected())
        assert cloud.drafts[1] == (2, [4], [5, 9])


async def test_drafts_go_to_the_middle_and_straight_to_the_cloud_while_it_has_no_lead() -> None:
    async with chain_of() as chain:
        edge, cloud = await chain.edge(), await chain.accepted()
        chain.link.put(wire.Draft(s=1, p=0, i=[5, 6]))
        await until(lambda: edge.drafts and cloud.drafts)
        edge.say(Batch(ids=[5]), None)
        await until(lambda: chain.expected())
        chain.link.put(wire.Draft(s=1, p=2, i=[7], b=[5, 6]))
        await until(lambda: len(edge.drafts) == 2)
        assert cloud.drafts == [(0, [5, 6], []), (0, [5], [])]
        cloud.say(Batch(ids=[5, 6], reason="length"))
        await chain.end()
        assert chain.link.of(wire.Tokens)[0].w == [0, 0]


async def test_drafts_that_still_fit_are_offered_to_the_next_stream_of_the_middle() -> None:
    async with chain_of() as chain:
        edge, cloud = await chain.edge(), await chain.accepted()
        chain.link.put(wire.Draft(s=1, p=0, i=[5, 6, 7, 8]))
        await until(lambda: edge.drafts)
        edge.say(Batch(ids=[5, 9]), None)
        await until(lambda: chain.expected())
        cloud.say(Batch(ids=[5, 6]), None)
        again = await chain.edge(1)
        await until(lambda: again.drafts)
        assert again.drafts == [(0, [7, 8], [])]


async def test_a_middle_that_is_behind_is_given_what_the_cloud_has_said() -> None:
    async with chain_of() as chain:
        edge, cloud = await chain.edge(), await chain.accepted()
        cloud.say(Batch(ids=[5, 6]), None)
        await until(lambda: edge.drafts)
        assert edge.drafts == [(0, [5, 6], [])]
        edge.say(Batch(ids=[5, 6, 7]), None)
        await until(lambda: chain.expected())
        assert chain.expected() == [(2, [7])]
        assert not edge.closed


async def test_the_middle_is_greedy_and_ends_where_the_cloud_may() -> None:
    sampling = wire.Sampling(temperature=0.9, top_p=0.5, seed=4, stop=["x"], max_tokens=9)
    async with chain_of(sampling=sampling) as chain:
        await chain.edge()
        (job,) = [job for job in chain.rig.verifier.jobs if job.model == "rill-edge"]
        assert job.sampling == {"temperature": 0.0, "max_tokens": 9}


async def test_a_middle_that_fails_goes_on_at_another_endpoint_once() -> None:
    scripts: VerifiedScripts = {
        "edge:1": lambda: [Batch(ids=[5]), broken()],
        "edge:2": lambda: [Batch(ids=[6]), broken("edge:2")],
        "cloud:1": lambda: [None],
    }
    async with chain_of(scripts, state("edge:2", waiting=1)) as chain:
        await until(lambda: chain.at("edge:2"))
        cloud = await chain.accepted()
        assert chain.prompts("rill-edge") == [[1, 2, 3], [1, 2, 3, 5]]
        chain.link.put(wire.Draft(s=1, p=2, i=[7], b=[5, 6]))
        await until(lambda: (2, [7], [5, 6]) in cloud.drafts)
        assert chain.expected()[-1] == (0, []), "nothing is expected any more"
        cloud.say(Batch(ids=[5, 6, 7], reason="length"))
        assert (await chain.end()).completion_tokens == 3


@pytest.mark.parametrize(
    "edge", [state("edge:1", healthy=False), state("edge:1", waiting=1000), None]
)
async def test_without_a_middle_that_can_help_the_answer_is_as_ever(
    edge: EndpointState | None,
) -> None:
    answer: list[VerifiedPiece] = [Batch(ids=[5, 6], reason="length")]
    states = [state("cloud:1", "cloud"), *([edge] if edge else [])]
    rig = DeviceRig(states, {"cloud:1": lambda: answer})
    link = FakeLink(wire.Hello(wire.VERSION), opening(tier="cloud", through=("edge",)))
    task = rig.connect(link)
    await until(lambda: link.of(wire.Done))
    assert [frame.i for frame in link.of(wire.Tokens)] == [[5, 6]]
    assert [job.model for job in rig.verifier.jobs] == ["rill-cloud"]
    link.leave()
    await task
    rig.assert_nothing_left_open()


async def test_a_cloud_that_takes_no_drafts_has_no_chain_and_that_is_counted() -> None:
    answer: list[VerifiedPiece] = [Batch(ids=[5, 6], reason="length")]
    rig = DeviceRig([state("edge:1"), state("cloud:1", "cloud")], {"cloud:1": lambda: answer})
    rig.verifier.per_step = 0
    link = FakeLink(wire.Hello(wire.VERSION), opening(tier="cloud", through=("edge",)))
    task = rig.connect(link)
    await until(lambda: link.of(wire.Done))
    assert [job.model for job in rig.verifier.jobs] == ["rill-cloud"]
    assert rig.chains.reasons == [("device-edge-cloud", "endpoint-takes-no-drafts")]
    link.leave()
    await task
    rig.assert_nothing_left_open()


async def test_nothing_waits_for_a_middle_that_is_left_out() -> None:
    first = Batch(ids=[5, 6], prompt=[97, 98], reason="length")
    rig = DeviceRig([state("edge:1"), state("cloud:1", "cloud")], {"cloud:1": lambda: [first]})
    rig.verifier.makes_prompts = True
    messages = [{"role": "user", "content": "ab"}]
    ask = opening(tier="cloud", through=("edge",), prompt=[], messages=messages)
    leave_out_edge(rig.shared.chains, below="device", caller="device phone")
    link = FakeLink(wire.Hello(wire.VERSION), ask)
    task = rig.connect(link)
    await until(lambda: link.of(wire.Done))
    (job,) = rig.verifier.jobs
    assert (job.model, job.messages) == ("rill-cloud", messages)
    assert not rig.verifier.tokenized
    (report,) = rig.chains.reports
    assert (report.used, report.written) == ([], {"cloud": 2})
    link.leave()
    await task
    rig.assert_nothing_left_open()


async def test_an_answer_that_goes_on_at_another_cloud_endpoint_keeps_its_middle() -> None:
    scripts = {
        **SILENT,
        "cloud:2": lambda: [None],
    }
    more = state("cloud:2", "cloud", waiting=1)
    async with chain_of(scripts, more) as chain:
        cloud = await chain.accepted()
        cloud.say(Batch(ids=[5, 6]), broken("cloud:1"))
        edge = await chain.edge(1)
        await until(lambda: chain.at("cloud:2"))
        assert chain.prompts("rill-edge")[-1] == [1, 2, 3, 5, 6]
        edge.say(Batch(ids=[7]), None)
        await until(lambda: chain.expected())
        assert chain.expected() == [(2, [7])]
        assert chain.at("cloud:2")[0].drafts == [(0, [7], [])]


async def test_offers_tell_through_which_tiers_the_cloud_can_be_reached() -> None:
    rig = DeviceRig([state("edge:1"), state("cloud:1", "cloud")], {})
    offers = {offer.tier: offer.through for offer in rig.shared.verifiers.offers()}
    assert offers == {"edge": (), "cloud": ("edge",)}
    rig.states[0].tokenizer = "another"
    offers = {offer.tier: offer.through for offer in rig.shared.verifiers.offers()}
    assert offers == {"edge": (), "cloud": ()}
