"""The link over several gateways: lost ones are left for others, draining ones without a gap."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from services.device_agent.link.connection import LinkLost
from services.device_agent.link.session_channel import SessionChannel
from tests.unit.services.device_agent.scripted_gateway import (
    MODEL,
    ScriptedGateway,
    answer_ids,
    linked,
    soon,
)

pytestmark = pytest.mark.anyio
PROMPT = [3, 4, 5]
TOKENS = 30


class RecordingMember:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.sends: list[Any] = []

    def connected(self) -> None:
        self.events.append("connected")

    def handle_frame(self, frame: work.FromGateway, send: Any) -> None:
        self.events.append(type(frame).__name__)
        self.sends.append(send)

    def handle_error(self, error: wire.Error) -> bool:
        return False

    def disconnected(self) -> None:
        self.events.append("disconnected")

    def lost(self, send: Any) -> None:
        self.events.append("lost")


async def begin(channel: SessionChannel) -> None:
    await channel.send(
        wire.Open(
            s=channel.number,
            tier="cloud",
            tokenizer="",
            prompt=PROMPT,
            sampling=wire.Sampling(max_tokens=TOKENS),
        )
    )


async def finish(channel: SessionChannel) -> list[int]:
    """The session's ids, to its end. Raises LinkLost."""
    ids: list[int] = []
    while True:
        for frame in channel.receive():
            if isinstance(frame, wire.Tokens):
                ids += frame.i
            elif isinstance(frame, wire.Done):
                channel.release()
                return ids
        if channel.lost is not None:
            raise LinkLost(channel.lost)
        await channel.wait(5)


async def test_a_lost_gateway_is_left_for_the_next_one() -> None:
    first, second = ScriptedGateway(), ScriptedGateway()
    async with linked(first, second) as link:
        await first.kill()
        await soon(lambda: second.connections)
        assert await link.settle()
        channel = await link.open()
        await begin(channel)
        assert await finish(channel) == answer_ids(PROMPT, TOKENS)
        assert link.in_order()[0] == second.url


async def test_a_gateway_that_stops_is_left_and_what_is_under_way_ends_there() -> None:
    first, second = ScriptedGateway(pauses_at=5), ScriptedGateway()
    async with linked(first, second) as link:
        old = await link.open()
        await begin(old)
        await asyncio.wait_for(first.paused.wait(), 10)
        await first.drain()
        await soon(lambda: second.connections)
        new = await link.open()
        await begin(new)
        assert await finish(new) == answer_ids(PROMPT, TOKENS)
        first.gate.set()
        assert await finish(old) == answer_ids(PROMPT, TOKENS)
        assert (len(first.opened), len(second.opened)) == (1, 1)


async def test_while_the_link_moves_it_is_up_and_new_sessions_wait() -> None:
    first, second = ScriptedGateway(), ScriptedGateway()
    async with linked(first, second) as link:
        await first.drain()
        for connection in list(first.connections):
            await connection.close(1012, wire.DRAINING)
        channel = await link.open()
        assert link.problem is None
        await begin(channel)
        assert await finish(channel) == answer_ids(PROMPT, TOKENS)
        assert len(second.opened) == 1


async def test_the_only_gateway_that_stops_leaves_its_sessions_and_no_link() -> None:
    only = ScriptedGateway(pauses_at=5)
    async with linked(only) as link:
        channel = await link.open()
        await begin(channel)
        await asyncio.wait_for(only.paused.wait(), 10)
        await only.drain()
        await soon(lambda: not link.up)
        assert link.problem == "the gateway answered 503 to the connection"
        assert not await link.settle()
        with pytest.raises(LinkLost):
            await link.open()
        only.gate.set()
        assert await finish(channel) == answer_ids(PROMPT, TOKENS)


async def test_sessions_and_those_that_wait_for_a_place_hear_of_a_loss() -> None:
    gateway = ScriptedGateway(pauses_at=0)
    async with linked(gateway) as link:
        channels = [await link.open() for _ in range(wire.MAX_SESSIONS)]
        waiting = asyncio.create_task(link.open())
        await asyncio.sleep(0)
        await gateway.kill()
        with pytest.raises(LinkLost):
            await asyncio.wait_for(waiting, 10)
        for channel in channels:
            with pytest.raises(LinkLost):
                await finish(channel)


async def test_it_is_told_soon_that_no_gateway_can_be_reached() -> None:
    first, second = ScriptedGateway(), ScriptedGateway()
    async with linked(first, second) as link:
        await second.kill()
        await first.kill()
        await soon(lambda: not link.up)
        assert await link.offer_again(MODEL) is None
        assert not await link.settle()
        await second.start()


async def test_an_offer_may_come_after_the_connection() -> None:
    first, second = ScriptedGateway(), ScriptedGateway()
    offers, second.offers = second.offers, []
    async with linked(first, second) as link:
        await first.kill()
        waiting = asyncio.create_task(link.offer_again(MODEL))
        await soon(lambda: second.connections)
        second.offers = offers
        offer = await asyncio.wait_for(waiting, 10)
        assert offer is not None and offer.model == MODEL


async def test_a_member_registers_where_the_link_moves_and_keeps_its_work_where_it_was() -> None:
    first, second = ScriptedGateway(), ScriptedGateway()
    member = RecordingMember()
    async with linked(first, second, member=member):
        await first.tell_all(work.Recall(1))
        await soon(lambda: member.sends)
        await first.drain()
        await soon(lambda: second.connections)
        await soon(lambda: member.events.count("connected") == 2)
        await first.tell_all(work.Recall(2))
        await second.tell_all(work.Recall(3))
        await soon(lambda: len(member.sends) == 3)
        assert member.events[:4] == ["connected", "Recall", "disconnected", "connected"]
        assert "lost" not in member.events
        assert member.sends[0] in member.sends[1:]
        assert len(set(member.sends)) == 2, "each answer goes back on its own connection"
        for connection in list(first.connections):
            await connection.close(1012, wire.DRAINING)
        await soon(lambda: "lost" in member.events)
        assert member.events.count("disconnected") == 1
