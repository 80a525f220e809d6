"""Devices that stall, lie, die or come back, and links that break, change nobody's answer.

While a device misbehaves, neighbours ask through two agents: what they hear is what the server
says alone. Of a session that broke, all that came as verified is the server's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.protocol.device_link import speculation as wire
from tests.integration.device import Device, connected
from tests.integration.exact.chat import DraftedReply, questions, server_only, together
from tests.integration.exact.drafting_fleet import SCRIPTED, DraftingFleet, token_of
from tests.integration.exact.violations import VIOLATIONS, Session, Violation, flood, play
from tests.reference_verifier.client import Verifier
from tests.servers import eventually

pytestmark = [pytest.mark.integration, pytest.mark.engine("verifier"), pytest.mark.anyio]
PHONE, TABLET = map(token_of, SCRIPTED)
NEIGHBOURS = questions(6)
LENGTH = 120
ENDLESS: dict[str, Any] = {"ignore_eos": True}


@pytest.fixture(scope="module")
def references(whole_fleet: DraftingFleet) -> list[DraftedReply]:
    return [server_only(whole_fleet, question, **ENDLESS) for question in NEIGHBOURS]


@pytest.fixture(scope="module")
def prompt(whole_fleet: DraftingFleet) -> list[int]:
    return whole_fleet.engine.tokenize("<|user|>\nTell me about the town.\n<|assistant|>\n")


@pytest.fixture(scope="module")
def right(whole_fleet: DraftingFleet, prompt: list[int]) -> list[int]:
    """What the server alone says to the prompt."""
    alone = Verifier(whole_fleet.gateway.url, "rill-cloud", 0)
    return alone.answer(prompt, temperature=0, max_tokens=LENGTH, ignore_eos=True).ids


async def beside(
    fleet: DraftingFleet, references: list[DraftedReply], happening: Awaitable[None]
) -> int:
    """Neighbours ask until `happening` is over, and hear what they should. How many answers."""
    over, heard = asyncio.Event(), 0

    async def neighbour(number: int) -> None:
        nonlocal heard
        question, how = NEIGHBOURS[number], {"window": ("auto", "8", "16")[number % 3], **ENDLESS}
        while True:
            reply = await asyncio.to_thread(together, fleet, number % 2, question, **how)
            assert reply.unchanged == references[number].unchanged
            heard += 1
            if over.is_set():
                return

    async with asyncio.TaskGroup() as tasks:
        for number in range(len(NEIGHBOURS)):
            tasks.create_task(neighbour(number))
        try:
            await happening
        finally:
            over.set()
    return heard


def open_for(device: Device, s: int, prompt: list[int], tokens: int) -> wire.Open:
    sampling = wire.Sampling(temperature=0, max_tokens=tokens, ignore_eos=True)
    return wire.Open(
        s=s,
        tier="cloud",
        tokenizer=device.welcome.offers[0].tokenizer,
        prompt=prompt,
        sampling=sampling,
    )


async def test_devices_that_stall_or_lie(
    fleet: DraftingFleet, references: list[DraftedReply], prompt: list[int], right: list[int]
) -> None:
    async def lies() -> None:
        async with connected(fleet.gateway.url, PHONE) as device:
            sessions = [Session(s, violation, right) for s, violation in enumerate(VIOLATIONS, 1)]
            for session in sessions:
                await device.put(open_for(device, session.s, prompt, LENGTH))
            await play(device, sessions)
            for session in sessions:
                assert session.heard == right, session.violation
                assert session.errors == session.violation.errors, session.violation

    await beside(fleet, references, lies())
    assert fleet.counts()["failures"] == 0


async def test_a_device_that_floods(
    fleet: DraftingFleet, references: list[DraftedReply], prompt: list[int], right: list[int]
) -> None:
    async def floods() -> None:
        async with connected(fleet.gateway.url, TABLET) as device:
            session = Session(1, Violation(flood, {"flood"}), right)
            await device.put(open_for(device, 1, prompt, LENGTH))
            await play(device, [session])
            assert (session.heard, session.errors) == (right, {"flood"})

    await beside(fleet, references, floods())


async def dies(device: Device, url: str) -> None:
    device.connection.transport.abort()


async def is_replaced(device: Device, url: str) -> None:
    async with connected(url, PHONE):
        assert await device.closed() == "replaced"


@pytest.mark.parametrize("ends", [dies, is_replaced])
async def test_a_device_that_leaves_mid_session_and_comes_back(
    fleet: DraftingFleet,
    references: list[DraftedReply],
    prompt: list[int],
    right: list[int],
    ends: Callable[[Device, str], Awaitable[None]],
) -> None:
    url, heard = fleet.gateway.url, {1: list[int](), 2: list[int]()}
    before = fleet.finished()

    async def leaves() -> None:
        async with connected(url, PHONE) as device:
            for s in heard:
                await device.put(open_for(device, s, prompt, 1500))
                await device.put(wire.Draft(s=s, p=1, i=right[1:9], b=right[:1]))
            while min(map(len, heard.values())) < 20:
                frame = await device.until(wire.Tokens)
                heard[frame.s] += frame.i
            await ends(device, url)
        async with connected(url, PHONE) as device:
            await device.put(open_for(device, 1, prompt, LENGTH))
            await device.put(wire.Draft(s=1, p=1, i=right[1:17], b=right[:1]))
            assert (await device.answer(1))[0] == right

    neighbours = await beside(fleet, references, leaves())
    for ids in heard.values():
        assert ids[:LENGTH] == right[: len(ids)]
    eventually(lambda: fleet.running() == 0, "the engine works on nothing")
    # All but the two that were left came to their end.
    assert fleet.finished() == before + neighbours + 1


@pytest.mark.parametrize("cut_s", [0.3, 3.0])
async def test_an_agent_whose_link_is_cut_goes_on_and_is_exact_again_later(
    fleet: DraftingFleet, references: list[DraftedReply], cut_s: float
) -> None:
    """After a short cut with the server, to the end; after a long one alone."""
    question, tokens = NEIGHBOURS[0], 200
    how: dict[str, Any] = {"max_tokens": tokens, **ENDLESS}
    reference = server_only(fleet, question, **how)
    cut = False

    def cuts(reply: DraftedReply) -> None:
        nonlocal cut
        if len(reply.ids) >= 10 and not cut:
            cut = True
            fleet.link.ask(link=1, cut_s=cut_s)

    reply = together(fleet, 1, question, window="1", heard=cuts, **how)
    verified = reply.about["verified_tokens"]
    assert 10 <= verified <= tokens == len(reply.ids)
    assert reply.ids[:verified] == reference.ids[:verified]
    if cut_s < 1.0:
        assert verified == tokens and not reply.about["degraded"]
    else:
        assert reply.about["degraded"] and set(reply.by[verified:]) == {"device"}
    eventually(lambda: fleet.linked(1), "the agent is back")
    eventually(lambda: fleet.running() == 0, "the engine works on nothing")
    assert together(fleet, 1, question, **how).unchanged == reference.unchanged


async def test_links_that_stall_again_and_again(
    fleet: DraftingFleet, references: list[DraftedReply]
) -> None:
    fleet.link.ask(delay_ms=5, jitter_ms=2, stall=[0.3, 0.15])

    async def nothing() -> None:
        return None

    for _ in range(3):
        assert await beside(fleet, references, nothing()) >= len(NEIGHBOURS)
