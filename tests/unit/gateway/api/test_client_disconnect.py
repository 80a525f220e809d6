"""A block of work that ends when its caller leaves."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from starlette.types import Message

from gateway.api.client_disconnect import ClientGone, Listening

pytestmark = pytest.mark.anyio


class Caller:
    """Stays until it is told to leave."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}


async def test_the_work_is_cancelled_once_the_caller_has_left() -> None:
    caller = Caller()
    with pytest.raises(ClientGone):
        async with Listening(caller.receive):
            caller.leaves.set()
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None and not task.cancelling()


async def test_work_that_is_done_when_the_caller_leaves_is_not_cancelled() -> None:
    caller = Caller()
    async with Listening(caller.receive):
        caller.leaves.set()
    await asyncio.sleep(0)


@pytest.mark.parametrize("leaves", [False, True])
async def test_what_a_request_held_needs_no_garbage_collector(leaves: bool) -> None:
    gc.collect()
    gc.disable()
    try:
        assert (await _receiver_of_a_request(leaves))() is None
    finally:
        gc.enable()


async def _receiver_of_a_request(leaves: bool) -> weakref.ref[Caller]:
    caller = Caller()
    try:
        async with Listening(caller.receive):
            if leaves:
                caller.leaves.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
    except ClientGone:
        pass
    gone = weakref.ref(caller)
    del caller
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return gone
