"""Answers by way of a tier in the middle, whose lead comes before the verified text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from gateway.protocol.device_link import speculation as wire
from gateway.protocol.requests.sampling import Sampling
from services.device_agent.answers.answer import AnswerReport, GenerationRequest, TokenOrigin
from services.device_agent.answers.answer_router import AnswerRouter
from services.device_agent.answers.drafted_hop import LEADERLESS_TOKENS, DraftedHop
from services.device_agent.answers.problems import RequestRefused
from services.device_agent.answers.verifier_profile import VerifierProfile
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import TextModel
from tests.servers import SHIPPED_FAMILY
from tests.unit.services.device_agent.scripted_drafter import ScriptedDrafter
from tests.unit.services.device_agent.scripted_gateway import MODEL, ScriptedGateway, linked, soon

pytestmark = pytest.mark.anyio
EDGE_MODEL = "rill-edge"
PER_STEP = 16
REQUEST = GenerationRequest(
    prompt=[3, 4, 5], sampling=Sampling(max_tokens=50, ignore_eos=True), window=4
)
DRAFTED = [100 + place for place in range(60)]
"""What the device drafts, whatever the text before it."""


@dataclass
class Session:
    """One session of a scripted chain: what the device sends, and what it is told."""

    frame: wire.Open
    put: Callable[[wire.FromGateway], Awaitable[None]]
    drafts: list[wire.Run] = field(default_factory=list)

    async def ahead(self, position: int, *ids: int) -> None:
        await self.put(wire.Ahead(self.frame.s, position, list(ids)))

    async def tokens(self, position: int, ids: Sequence[int], by: Sequence[int] = ()) -> None:
        await self.put(wire.Tokens(s=self.frame.s, p=position, i=list(ids), w=list(by)))

    async def drafted_after(self, position: int, *before: int) -> None:
        """Wait for a draft at `position` that goes on from these ids."""
        await soon(lambda: any((r.p, r.b) == (position, list(before)) for r in self.drafts))

    async def done(self, count: int) -> None:
        done = wire.Done(
            s=self.frame.s,
            reason="length",
            prompt_tokens=3,
            completion_tokens=count,
            # The device's drafts that came true, also where the edge had written the same before.
            accepted=count,
        )
        await self.put(done)


Script = Callable[[Session], Awaitable[None]]


@dataclass
class ScriptedChain(ScriptedGateway):
    """A gateway with an edge and a cloud; `script` is what it says in a session."""

    script: Script | None = None
    sessions: list[Session] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.offers = [
            wire.Offer(
                tier="edge",
                model=EDGE_MODEL,
                tokenizer=self.tokenizer,
                per_step=PER_STEP,
                privacy=("public", "owner"),
            ),
            wire.Offer(
                tier="cloud",
                model=MODEL,
                tokenizer=self.tokenizer,
                per_step=PER_STEP,
                privacy=("public", "owner", "private"),
                through=("edge",),
            ),
        ]

    async def _handle(self, connection, frame) -> None:  # type: ignore[no-untyped-def]
        if isinstance(frame, wire.Draft):
            # The first may come right behind the `open`.
            while not (of := [each for each in self.sessions if each.frame.s == frame.s]):
                await asyncio.sleep(0)
            of[0].drafts += frame.runs
        await super()._handle(connection, frame)

    async def _speak(self, connection, frame: wire.Open) -> None:  # type: ignore[no-untyped-def]
        async def put(reply: wire.FromGateway) -> None:
            await connection.send(wire.encode(reply))

        session = Session(frame, put)
        self.sessions.append(session)
        await put(wire.Opened(s=frame.s, model=MODEL, endpoint=self.url, per_step=PER_STEP))
        assert self.script is not None
        await self.script(session)


@dataclass
class Answered:
    ids: list[int]
    origins: list[TokenOrigin]
    report: AnswerReport


@dataclass
class Device:
    router: AnswerRouter

    async def answer(
        self, placement: str = "device-edge-cloud", request: GenerationRequest = REQUEST
    ) -> Answered:
        answered = Answered([], [], AnswerReport(placement=""))
        route = self.router.route(placement, privacy=request.privacy)
        async for piece in self.router.answer(request, route, answered.report):
            answered.ids += piece.token_ids
            answered.origins += piece.origins
        return answered


@pytest.fixture(scope="module")
def model() -> TextModel:
    return TextModel(SHIPPED_FAMILY / "rill-device")


@asynccontextmanager
async def device(model: TextModel, *chains: ScriptedChain) -> AsyncIterator[Device]:
    for chain in chains:
        chain.tokenizer = model.fingerprint
        chain.__post_init__()
    thread = DraftingThread(ScriptedDrafter(DRAFTED, in_place=True))
    async with linked(*chains) as up:
        yield Device(AnswerRouter(model=model, thread=thread, link=up, metrics=AgentMetrics()))
    thread.close()


async def short(session: Session) -> None:
    await session.tokens(0, [7, 8], [0, 2] if session.frame.through else [])
    await session.done(2)


async def test_each_token_is_the_verifiers_and_is_marked_by_who_wrote_it(model: TextModel) -> None:
    async def script(session: Session) -> None:
        await session.ahead(0, 100, 101, 55)
        await session.tokens(0, [100, 101], [0, 0])
        await session.ahead(3, 56, 57)
        await session.tokens(2, [55, 9], [1, 2])
        await session.done(4)

    async with device(model, ScriptedChain(script=script)) as asked:
        answered = await asked.answer()
    assert answered.ids == [100, 101, 55, 9], "what was only expected is no part of it"
    assert answered.origins == ["draft", "draft", "edge", "verifier"]
    report = answered.report
    assert (report.placement, report.degraded) == ("device-edge-cloud", None)
    assert (report.verified_tokens, report.middle_tokens) == (4, {"edge": 1})
    assert report.accepted_tokens == 2, "what the edge wrote first counts once"
    assert report.to_json()["middle_tokens"] == {"edge": 1}


async def test_drafts_go_on_from_the_lead_and_from_corrections_at_every_hop(
    model: TextModel,
) -> None:
    async def script(session: Session) -> None:
        await session.drafted_after(0)
        await session.ahead(0, 100, 101)
        await session.drafted_after(4, 100, 101, 102, 103)
        await session.ahead(2, 50)  # the edge's correction
        await session.drafted_after(3, 100, 101, 50)
        await session.tokens(0, [100, 60], [0, 2])  # the cloud's
        await session.drafted_after(2, 100, 60)
        await session.ahead(2, 102, 103)
        await session.drafted_after(6, 102, 103, 104, 105)
        await session.ahead(2)  # the edge is gone
        await session.drafted_after(2, 100, 60)
        await session.tokens(2, [1, 2, 3])
        await session.done(5)

    async with device(model, ScriptedChain(script=script)) as asked:
        answered = await asked.answer()
    assert answered.ids == [100, 60, 1, 2, 3]


async def test_learns_from_the_tier_that_it_drafts_for(model: TextModel) -> None:
    async def script(session: Session) -> None:
        for place in range(12):
            await session.drafted_after(place, *DRAFTED[max(0, place - 4) : place])
            await session.ahead(place, DRAFTED[place])
        await session.tokens(0, [1] * 12, [2] * 12)
        await session.done(12)

    async with device(model, ScriptedChain(script=script)) as asked:
        untouched = VerifierProfile().acceptance.overall.value
        await asked.answer(request=replace(REQUEST, window=1))
        of_edge, of_cloud = (asked.router.verifiers[name] for name in (EDGE_MODEL, MODEL))
        assert of_edge.acceptance.overall.value > untouched
        assert of_cloud.acceptance.overall.value == untouched


async def test_only_who_asks_for_the_chain_gets_a_tier_in_the_middle(model: TextModel) -> None:
    chain = ScriptedChain(script=short)
    async with device(model, chain) as asked:
        ways = [
            (await asked.answer(way)).report.placement
            for way in ("auto", "device-edge-cloud", "device-cloud", "device-edge")
        ]
    assert ways == ["device-cloud", "device-edge-cloud", "device-cloud", "device-edge"]
    opened = [(each.frame.tier, each.frame.through) for each in chain.sessions]
    assert opened == [("cloud", ()), ("cloud", ("edge",)), ("cloud", ()), ("edge", ())]


async def test_without_the_tier_in_the_middle_the_verifier_answers_and_that_is_said(
    model: TextModel,
) -> None:
    chain = ScriptedChain(script=short)
    async with device(model, chain) as asked:
        assert asked.router.link is not None
        await chain.tell_all(
            wire.Pong(10**6, [msgspec.structs.replace(each, through=()) for each in chain.offers])
        )
        await soon(lambda: asked.router.link and not asked.router.link.offers["cloud"].through)
        answered, auto = await asked.answer(), await asked.answer("auto")
    assert (answered.ids, answered.report.placement) == ([7, 8], "device-cloud")
    assert answered.report.degraded and "through tier edge" in answered.report.degraded
    assert (auto.report.placement, auto.report.degraded) == ("device-cloud", None)


async def test_a_tier_that_may_not_see_the_request_is_left_out(model: TextModel) -> None:
    chain = ScriptedChain(script=short)
    async with device(model, chain) as asked:
        private = replace(REQUEST, privacy="private")
        answered = await asked.answer(request=private)
        with pytest.raises(RequestRefused, match="may not be seen by tier edge"):
            await asked.answer("device-edge", private)
    assert chain.sessions[0].frame.through == ()
    assert answered.report.degraded and "may not be seen" in answered.report.degraded


async def test_another_gateway_goes_on_through_the_same_tiers(model: TextModel) -> None:
    killed = asyncio.Event()

    async def broken(session: Session) -> None:
        await session.ahead(0, 100, 101, 102)
        await session.tokens(0, [100], [0])
        killed.set()

    async def rest(session: Session) -> None:
        await session.tokens(1, [8], [1])
        await session.done(2)

    first, second = ScriptedChain(script=broken), ScriptedChain(script=rest)
    async with device(model, first, second) as asked:
        answering = asyncio.create_task(asked.answer())
        await asyncio.wait_for(killed.wait(), 20)
        await first.kill()
        answered = await answering
    (session,) = second.sessions
    assert (session.frame.verified, session.frame.through) == ([100], ("edge",))
    assert (answered.ids, answered.origins) == ([100, 8], ["draft", "edge"])


@pytest.mark.parametrize("by", [[0], [0, 3], [0, 1, 2]])
async def test_marks_that_make_no_sense_end_the_session(model: TextModel, by: list[int]) -> None:
    async def script(session: Session) -> None:
        await session.tokens(0, [7, 8], by)

    async with device(model, ScriptedChain(script=script)) as asked:
        answered = await asked.answer(request=replace(REQUEST, sampling=Sampling(max_tokens=3)))
    assert answered.report.degraded and "who wrote them" in answered.report.degraded
    assert answered.origins == ["device"] * 3


def test_the_verifier_judges_until_a_tier_in_the_middle_shows_and_when_it_is_left_out() -> None:
    verifier, middle = VerifierProfile(), VerifierProfile()
    hop = DraftedHop(verifier, middle)
    assert not hop.led and hop.profile is verifier, "the gateway asks the middle where it helps"
    hop.lead_came()
    assert hop.led and hop.profile is middle
    hop.tokens_came(LEADERLESS_TOKENS - 1, lead=False)
    hop.tokens_came(1, lead=True)
    hop.tokens_came(LEADERLESS_TOKENS - 1, lead=False)
    assert hop.led, "it led in between"
    hop.tokens_came(1, lead=False)
    assert not hop.led and hop.profile is verifier
    hop.lead_came()
    assert hop.profile is middle


def test_without_a_tier_in_the_middle_the_verifier_judges() -> None:
    verifier = VerifierProfile()
    hop = DraftedHop(verifier)
    hop.lead_came()
    assert not hop.led and hop.profile is verifier
