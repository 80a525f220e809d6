"""The head of an answer, as it is written to the connection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.api.connections.answer import HttpAnswer

pytestmark = pytest.mark.anyio
Headers = list[tuple[bytes, bytes]]


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        pass


async def written(kind: type[RequestResponseCycle], headers: Headers, **fields: Any) -> bytes:
    """What goes out for a head with these headers and a body of two bytes."""
    transport = Transport()
    cycle = kind(
        scope={"method": fields.get("method", "POST")},  # type: ignore[typeddict-item]
        transport=transport,
        flow=FlowControl(transport),
        logger=logging.getLogger("uvicorn.error"),
        access_logger=logging.getLogger("uvicorn.access"),
        access_log=False,
        default_headers=[(b"server", b"some")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=fields.get("keep_alive", True),
        on_response=lambda: None,
    )
    status = fields.get("status", 200)
    await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
    body = b"" if status in (204, 304) else b"ok"
    await cycle.send({"type": "http.response.body", "body": body, "more_body": False})
    return transport.written


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"2"), (b"X-Some", b"a\tb")],
        [(b"Content-Type", b"text/plain")],
        [(b"transfer-encoding", b"Chunked")],
        [(b"connection", b"Upgrade, Close")],
        [],
    ],
)
@pytest.mark.parametrize("fields", [{}, {"keep_alive": False}, {"method": "HEAD"}, {"status": 404}])
async def test_it_is_written_as_uvicorn_does(headers: Headers, fields: dict[str, Any]) -> None:
    if fields.get("method") == "HEAD" and (b"content-length", b"2") in headers:
        headers = headers[1:]
    expected = await written(RequestResponseCycle, headers, **fields)
    assert await written(HttpAnswer, headers, **fields) == expected


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_has_no_framing(status: int) -> None:
    expected = await written(RequestResponseCycle, [], status=status)
    assert await written(HttpAnswer, [], status=status) == expected
    assert b"chunked" not in expected


@pytest.mark.parametrize(
    "header",
    [
        (b"x-some", b"one\r\nx-other: two"),
        (b"x-some", b"one\nx-other: two"),
        (b"x-some", b"\x00"),
        (b"x-some", b"\x7f"),
        (b"x some", b"one"),
        (b"x-some\r\n", b"one"),
        (b"x-some:", b"one"),
    ],
)
async def test_what_would_end_a_line_is_never_written(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(RuntimeError, match="Invalid HTTP header"):
        await written(HttpAnswer, [(b"x-first", b"fine"), header])
