"""What an application sees when the gateway goes away while it answers for the device."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from services.device_agent.api.gateway_proxy import _relay

pytestmark = pytest.mark.anyio


class Breaking(httpx.AsyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        raise httpx.ReadError("connection reset")


def answer(kind: str, *pieces: bytes) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": kind}, stream=Breaking(*pieces))


async def test_a_stream_ends_in_one_clean_error() -> None:
    broken = answer("text/event-stream", b'data: {"a": 1}\n\nda')
    told = b"".join([piece async for piece in _relay(broken)])
    *_, last = [event for event in told.split(b"\n\n") if event]
    assert orjson.loads(last.removeprefix(b"data: "))["error"]["code"] == "gateway_lost"


async def test_a_whole_answer_is_cut_rather_than_mended() -> None:
    with pytest.raises(httpx.ReadError):
        [piece async for piece in _relay(answer("application/json", b'{"a"'))]
