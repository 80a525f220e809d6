import asyncio

import pytest

from gateway.protocol.device_link import speculation as wire
from services.device_agent.drafting.rate_limit import DraftRateLimit
from services.device_agent.link.session_channel import SessionChannel

pytestmark = pytest.mark.anyio


def session_channel() -> SessionChannel:
    async def send(frame: wire.FromDevice) -> None: ...

    return SessionChannel(
        number=1, release=lambda: None, send=send, rate_limit=DraftRateLimit(0.0, 0.0)
    )


async def test_frames_come_in_order_and_once() -> None:
    channel = session_channel()
    frames = [wire.Tokens(s=1, p=place, i=[place]) for place in range(3)]
    for frame in frames:
        channel.put(frame)
    assert channel.has_news
    assert channel.receive() == frames
    assert not channel.has_news and channel.receive() == []


async def test_waiting_ends_with_news() -> None:
    channel = session_channel()
    waiting = asyncio.create_task(channel.wait(5))
    await asyncio.sleep(0)
    assert not waiting.done()
    channel.put(wire.Tokens(s=1, p=0, i=[5]))
    await asyncio.wait_for(waiting, 5)


async def test_what_came_before_a_loss_is_still_given() -> None:
    channel = session_channel()
    channel.put(wire.Tokens(s=1, p=0, i=[5]))
    channel.lose("cut")
    assert channel.receive() == [wire.Tokens(s=1, p=0, i=[5])]
    assert channel.lost == "cut"
    await asyncio.wait_for(channel.wait(5), 5)
