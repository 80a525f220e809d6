"""What an application sees when the gateway goes away while it answers for the device."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request as HttpRequest
from starlette.responses import StreamingResponse

from services.device_agent.api import gateway_proxy
from services.device_agent.api.gateway_proxy import RESUMABLE_S, GatewayProxy, _relay
from services.device_agent.api.resumable_events import ResumableEvents

pytestmark = pytest.mark.anyio
STREAM = "0" * 16 + "-" + "a" * 32
EVENTS = [b"data: 1\n\n", b": working\n", b"data: 2\n\n", b"data: [DONE]\n\n"]
WITH_IDS = [
    event if event.startswith(b":") else b"id: %s:%d\n%s" % (STREAM.encode(), number, event)
    for number, event in enumerate(EVENTS, 1)
]


class Breaking(httpx.AsyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        raise httpx.ReadError("connection reset")


class Whole(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


def answer(kind: str, *pieces: bytes) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": kind}, stream=Breaking(*pieces))


async def test_a_stream_ends_in_one_clean_error() -> None:
    broken = answer("Text/Event-Stream", b'data: {"a": 1}\n\nda')
    told = b"".join([piece async for piece in _relay(broken)])
    *_, last = [event for event in told.split(b"\n\n") if event]
    assert orjson.loads(last.removeprefix(b"data: "))["error"]["code"] == "gateway_lost"


async def test_a_whole_answer_is_cut_rather_than_mended() -> None:
    with pytest.raises(httpx.ReadError):
        [piece async for piece in _relay(answer("application/json", b'{"a"'))]


class Gateway(httpx.AsyncBaseTransport):
    """A gateway with one resumable stream, whose connections break after so many bytes each."""

    def __init__(self, *breaks: int, then: Callable[[], httpx.Response] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._breaks = list(breaks)
        self._then = then

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "DELETE":
            return httpx.Response(204)
        if request.method == "GET" and self._then is not None:
            return self._then()
        had = int(request.headers.get("last-event-id", ":0").rpartition(":")[2])
        rest = b"".join(WITH_IDS[had:])
        headers = {"content-type": "text/event-stream"}
        if request.headers.get("x-tierflow-resumable") or request.method == "GET":
            headers |= {"x-tierflow-stream": STREAM, "x-tierflow-resumable": "60"}
        if not self._breaks:
            return httpx.Response(200, headers=headers, stream=Whole(rest))
        return httpx.Response(200, headers=headers, stream=Breaking(rest[: self._breaks.pop(0)]))


def caller(**headers: str) -> HttpRequest:
    named = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return HttpRequest(
        {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": named}
    )


async def token() -> str:
    return "device-token"


async def test_the_device_shows_its_token_where_callers_show_a_key() -> None:
    gateway = Gateway(40, 40)
    await heard(gateway)
    assert len(gateway.requests) > 1
    shown = {request.headers.get("authorization") for request in gateway.requests}
    assert shown == {"Bearer device-token"}


async def instantly(seconds: float) -> None:
    await asyncio.sleep(0)


async def heard(gateway: Gateway, stream: bool = True, **headers: str) -> bytes:
    proxy = GatewayProxy(
        gateways=lambda: ["http://gateway"],
        token=token,
        uniform=lambda: 0.0,
        pause=instantly,
        transport=gateway,
    )
    body = {"model": "rill-edge", "stream": stream}
    response = await proxy.forward(
        caller(**headers), body, fields=["n"], privacy="public", request_id="r-1"
    )
    assert isinstance(response, StreamingResponse)
    told = b"".join([bytes(piece) async for piece in response.body_iterator])  # type: ignore[arg-type]
    await proxy.close()
    return told


@given(breaks=st.lists(st.integers(0, 250), max_size=4))
def test_wherever_the_link_breaks_the_application_has_every_event_once(breaks: list[int]) -> None:
    gateway = Gateway(*breaks)
    told = asyncio.run(heard(gateway))
    events = [event for event in told.replace(b": working\n", b"").split(b"\n\n") if event]
    assert events == [event.strip() for event in EVENTS if not event.startswith(b":")]
    assert len(gateway.requests) == len(breaks) + 1


async def test_the_gateway_is_asked_for_a_resumable_stream_and_for_nothing_else() -> None:
    for stream, wanted in ((True, str(RESUMABLE_S)), (False, None)):
        gateway = Gateway()
        await heard(gateway, stream)
        assert gateway.requests[0].headers.get("x-tierflow-resumable") == wanted


async def test_an_application_that_asks_for_ids_gets_them() -> None:
    gateway = Gateway(60)
    told = await heard(gateway, x_tierflow_resumable="30")
    assert told == b"".join(WITH_IDS)
    assert gateway.requests[0].headers["x-tierflow-resumable"] == "30"


@pytest.mark.parametrize("status", [404, 410])
async def test_a_stream_that_is_gone_ends_in_one_clean_error(status: int) -> None:
    gateway = Gateway(66, then=lambda: httpx.Response(status, json={"error": {}}))
    told = await heard(gateway)
    *events, last = [event for event in told.split(b"\n\n") if event]
    assert events == [b"data: 1"]
    assert orjson.loads(last.removeprefix(b"data: "))["error"]["code"] == "gateway_lost"
    assert len(gateway.requests) == 2


async def test_a_gateway_that_cannot_be_reached_for_a_while_is_asked_again() -> None:
    refusals = iter([503, 502])

    def later() -> httpx.Response:
        status = next(refusals, None)
        if status is None:
            gateway._then = None
            raise httpx.ConnectError("refused")
        return httpx.Response(status)

    gateway = Gateway(66, then=later)
    told = await heard(gateway)
    assert told.endswith(b"data: [DONE]\n\n")
    assert b"error" not in told


async def test_a_link_that_is_silent_is_one_that_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Breaking):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self._pieces:
                yield piece
            await asyncio.Event().wait()

    class Link(Gateway):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            if request.method == "POST":
                answer.stream = Silent(WITH_IDS[0][:70])
            return answer

    monkeypatch.setattr(gateway_proxy, "SILENT_S", 0.02)
    told = await heard(Link())
    assert told.replace(b": working\n", b"").count(b"data: ") == 3
    assert told.endswith(b"data: [DONE]\n\n")


async def test_an_application_that_leaves_ends_the_gateways_stream() -> None:
    for headers, ended in (({}, True), ({"x_tierflow_resumable": "30"}, False)):
        gateway = Gateway()
        proxy = GatewayProxy(
            gateways=lambda: ["http://gateway"],
            token=token,
            uniform=lambda: 0.0,
            pause=instantly,
            transport=gateway,
        )
        body = {"model": "rill-edge", "stream": True}
        response = await proxy.forward(
            caller(**headers), body, fields=["n"], privacy="public", request_id="r-1"
        )
        assert isinstance(response, StreamingResponse)
        iterator = response.body_iterator
        await anext(iterator)  # type: ignore[call-overload]
        await iterator.aclose()  # type: ignore[attr-defined]
        await proxy.close()
        assert (gateway.requests[-1].method == "DELETE") is ended


def test_a_comment_passes_at_once_and_an_event_when_it_is_whole() -> None:
    events = ResumableEvents(keep_ids=False)
    assert events.feed(b": working\nid: x:1\nda") == b": working\n"
    assert events.last_id == ""
    assert events.feed(b"ta: 1\n\n") == b"data: 1\n\n"
    assert events.last_id == "x:1"


class Replicas(httpx.AsyncBaseTransport):
    """Several gateways by host: the status with which each answers, None where it is gone."""

    def __init__(self, **statuses: int | None) -> None:
        self.asked: list[str] = []
        self._statuses = statuses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        status = self._statuses[request.url.host]
        if status is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(status, json={})


@pytest.mark.parametrize(
    ("statuses", "asked", "status"),
    [
        ({"one": None, "two": 200}, ["one", "two"], 200),
        ({"one": 503, "two": 200}, ["one", "two"], 200),
        ({"one": 400, "two": 200}, ["one"], 400),
        ({"one": 503, "two": 503}, ["one", "two"], 503),
    ],
)
async def test_the_next_gateway_is_asked_where_one_is_gone_or_about_to_stop(
    statuses: dict[str, int | None], asked: list[str], status: int
) -> None:
    replicas = Replicas(**statuses)
    proxy = GatewayProxy(
        gateways=lambda: [f"http://{name}" for name in statuses],
        token=token,
        uniform=lambda: 0.0,
        pause=instantly,
        transport=replicas,
    )
    response = await proxy.forward(
        caller(), {"model": "rill-edge"}, fields=["n"], privacy="public", request_id="r-1"
    )
    assert (replicas.asked, response.status_code) == (asked, status)
    await proxy.close()


@pytest.mark.parametrize("status", [404, 410, 503, None])
async def test_a_stream_is_looked_for_at_every_gateway(status: int | None) -> None:
    replicas = Replicas(one=status, two=204)
    proxy = GatewayProxy(
        gateways=lambda: ["http://one", "http://two"],
        token=token,
        uniform=lambda: 0.0,
        pause=instantly,
        transport=replicas,
    )
    returning = HttpRequest({"type": "http", "method": "GET", "path": "/", "headers": []})
    assert (await proxy.resume(returning, STREAM)).status_code == 204
    assert replicas.asked == ["one", "two"]
    await proxy.close()
