"""What of an engine's headers its caller gets."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict
from starlette.types import Message

from gateway.api.sink import AsgiSink
from gateway.core.outcome import Outcome
from tests.unit.gateway.build import request

pytestmark = pytest.mark.anyio


async def relayed(*headers: tuple[str, str]) -> list[tuple[str, str]]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    outcome = Outcome(request=request())
    outcome.tier, outcome.endpoint, outcome.reason = "edge", "edge:1", "policy"
    sink = AsgiSink(send, "request-1", "/v1/chat/completions")
    await sink.start(200, CIMultiDict(headers), outcome, 2)
    return [
        (name.decode(), value.decode("utf-8", "surrogateescape"))
        for name, value in sent[0]["headers"]
    ]


OURS = [
    ("x-request-id", "request-1"),
    ("x-tierflow-tier", "edge"),
    ("x-tierflow-endpoint", "edge:1"),
    ("x-tierflow-reason", "policy"),
    ("content-length", "2"),
]


async def test_callers_get_what_says_how_to_read_an_answer_and_when_to_ask_again() -> None:
    theirs = [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-store")]
    theirs.append(("retry-after", "3"))
    assert await relayed(*((name.title(), value) for name, value in theirs)) == theirs + OURS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("set-cookie", "session=1"),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("content-encoding", "gzip"),
        ("x-tierflow-tier", "cloud"),
        ("x-request-id", "of-the-engine"),
        ("proxy-authenticate", "Basic"),
        ("www-authenticate", "Bearer"),
        ("connection", "x-hop"),
        ("x-hop", "of the connection alone"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("server", "uvicorn"),
        ("strict-transport-security", "max-age=1"),
        ("location", "http://elsewhere"),
        ("x-anything", "else"),
    ],
)
async def test_nothing_that_speaks_in_the_gateways_name_passes(name: str, value: str) -> None:
    assert await relayed((name, value)) == OURS


async def test_a_header_that_comes_twice_is_sent_once() -> None:
    twice = await relayed(("content-type", "text/plain"), ("content-type", "text/html"))
    assert twice == [("content-type", "text/plain"), *OURS]
