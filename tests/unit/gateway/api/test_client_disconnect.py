"""A block of work that ends when its caller leaves."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from starlette.types import Message

from gateway.api.client_disconnect import ClientGone, Listening
from gateway.api.sink import AsgiSink

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


async def test_work_goes_on_behind_an_answer_that_the_caller_has_all_of() -> None:
    caller = Caller()
    async with Listening(caller.receive, lambda: True):
        caller.leaves.set()
        for _ in range(3):
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


CLOSED = RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")


async def test_a_write_to_a_closed_connection_ends_as_the_caller_s_leaving() -> None:
    async def send(message: Message) -> None:
        raise CLOSED

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    sink = AsgiSink(send, "request-1", "/v1/chat/completions")
    with pytest.raises(ClientGone):
        async with Listening(receive):
            await sink.send(b"data: {}\n\n", more=True)


async def test_another_error_of_a_write_is_not_hidden() -> None:
    async def send(message: Message) -> None:
        raise RuntimeError("Invalid HTTP header value.")

    sink = AsgiSink(send, "request-1", "/v1/chat/completions")
    with pytest.raises(RuntimeError, match="header value"):
        await sink.send(b"data: {}\n\n", more=True)
