"""Passes requests with options that only a server understands on to the gateway.

A stream survives a link that breaks: the gateway keeps it, and the agent comes back for the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from gateway.protocol import headers, virtual_models
from gateway.protocol.backoff import pause_s
from gateway.protocol.device_link.fields import Privacy
from gateway.protocol.paths import STREAMS
from services.device_agent.api.requests import BadRequest
from services.device_agent.api.responses import error_body, event
from services.device_agent.api.resumable_events import ResumableEvents
from services.device_agent.link.gateway_tls import BY_THE_SYSTEM, GatewayTls
from services.device_agent.link.greeting import TokenMissing

GATEWAY_MODELS = {
    virtual_models.DEVICE_EDGE: virtual_models.EDGE,
    virtual_models.DEVICE_CLOUD: virtual_models.CLOUD,
    virtual_models.DEVICE_EDGE_CLOUD: virtual_models.CLOUD,
}
"""The gateway's virtual model for one of the device's own."""
ANSWER_S = 600.0
CONNECT_S = 5.0
RESUMABLE_S = 60
"""For how long the gateway is asked to keep a stream whose link is broken."""
SILENT_S = 20.0
"""A stream that is silent for so long is fetched anew, as its link may be gone without a word.
Where only the answer pauses, that costs one request."""
NOT_TAKEN, UNKNOWN = frozenset({503}), frozenset({404, 410})
"""Statuses with which one replica may refuse what another takes: a stream is unknown, or counts as
lost, at replicas that do not share Redis with the one that has it."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
LOST = "the connection to the gateway broke in the middle of the answer"
CALLERS_HEADERS = (
    headers.MAX_TIER,
    headers.MIN_QUALITY,
    headers.DEADLINE_MS,
    headers.SESSION,
    headers.PRIORITY,
    headers.CASCADE_QUALITY,
    "traceparent",
    "tracestate",
)
"""Of a request, as the caller wrote them."""
PASSED_HEADERS = (
    "content-type",
    "cache-control",
    "retry-after",
    "x-should-retry",
    headers.REQUEST_ID,
    headers.TIER,
    headers.ENDPOINT,
    headers.REASON,
)
"""Of an answer."""
TOO_BUSY = 429
RESUMABLE_HEADERS = (headers.STREAM, headers.RESUMABLE)
"""Passed on to a caller who asked for a resumable stream."""


class NotAnswered(Exception):
    """The gateway has no answer, and the device can give one; the text says why it has none."""


class GatewayProxy:
    """The way to the gateway's own API. `gateways` gives the URLs of its replicas, the best one
    first: the next one is asked where one is out of reach, about to stop, or knows nothing of a
    stream. `token` gives the device's token, which it shows there as callers show a key; it raises
    TokenMissing. `uniform` draws from 0 to 1, `pause` waits for so many seconds."""

    def __init__(
        self,
        *,
        gateways: Callable[[], Sequence[str]],
        token: Callable[[], Awaitable[str]],
        uniform: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
        tls: GatewayTls = BY_THE_SYSTEM,
    ) -> None:
        self._gateways = gateways
        self._token = token
        self._uniform = uniform
        self._pause = pause
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        self._client = httpx.AsyncClient(
            timeout=timeout, trust_env=False, transport=transport, verify=tls.context()
        )
        self._farewells: set[asyncio.Task[None]] = set()

    async def forward(
        self,
        http: HttpRequest,
        body: dict[str, Any] | bytes,
        *,
        fields: Sequence[str],
        privacy: Privacy,
        request_id: str,
    ) -> Response:
        """The gateway's response; `body` is JSON, or a form as it came. `fields` are what only a
        server understands of the request; without any, the device could answer it as well.
        `privacy` is the request's class.

        Raises BadRequest where the gateway is out of reach, or NotAnswered where the device is to
        answer in its place.
        """
        wanted = http.headers.get(headers.RESUMABLE)
        sent = _sent(http, privacy, request_id)
        if isinstance(body, bytes):
            content: dict[str, Any] = {"content": body}
            sent["content-type"] = http.headers.get("content-type", "")
        else:
            content = {"json": _to_the_gateway(body)}
            if body.get("stream"):
                sent[headers.RESUMABLE] = wanted or str(RESUMABLE_S)
        try:
            answer = await self._send("POST", http.url.path, headers=sent, **content)
        except httpx.HTTPError as exc:
            if not fields:
                raise NotAnswered("the gateway is out of reach") from exc
            raise _unreachable(fields) from exc
        if not fields and (answer.status_code >= 500 or answer.status_code == TOO_BUSY):
            await answer.aclose()
            raise NotAnswered(f"the gateway answered with status {answer.status_code}")
        return self._response(answer, keep_ids=wanted is not None)

    async def read(self, http: HttpRequest, *, privacy: Privacy, request_id: str) -> Response:
        """The gateway's response to a request without a body. Raises BadRequest where the gateway
        is out of reach."""
        path, query = quote(http.url.path), http.url.query
        sent = _sent(http, privacy, request_id)
        try:
            answer = await self._send(
                http.method, f"{path}?{query}" if query else path, headers=sent
            )
        except httpx.HTTPError as exc:
            raise _unreachable([path]) from exc
        return self._response(answer, keep_ids=False)

    async def resume(self, http: HttpRequest, stream: str) -> Response:
        """The gateway's response to a caller that comes back to its stream, or ends it. Raises
        BadRequest where the gateway is out of reach."""
        last = http.headers.get(headers.LAST_EVENT_ID)
        sent = {headers.LAST_EVENT_ID: last} if last else {}
        try:
            path = f"{STREAMS}/{quote(stream, safe='')}"
            answer = await self._send(http.method, path, headers=sent)
        except httpx.HTTPError as exc:
            raise BadRequest(
                "the stream is the gateway's, which is out of reach; come back later",
                None,
                "gateway_unreachable",
            ) from exc
        return self._response(answer, keep_ids=True)

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer of the first gateway that takes the request. Raises httpx.HTTPError."""
        gateways = self._gateways()
        failure: httpx.HTTPError = httpx.ConnectError("there is no gateway")
        elsewhere = NOT_TAKEN if method == "POST" else NOT_TAKEN | UNKNOWN
        shown = await self._shown()
        for number, gateway in enumerate(gateways, 1):
            request = self._client.build_request(method, gateway + path, **more)
            request.headers.update(shown)
            try:
                answer = await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
                failure = exc
                continue
            if answer.status_code not in elsewhere or number == len(gateways):
                return answer
            await answer.aclose()
        raise failure

    async def _shown(self) -> dict[str, str]:
        """Without a token the gateway says what is missing."""
        try:
            token = await self._token()
        except TokenMissing:
            return {}
        return {headers.AUTHORIZATION: f"Bearer {token}"} if token else {}

    async def close(self) -> None:
        await asyncio.gather(*self._farewells, return_exceptions=True)
        await self._client.aclose()

    def _response(self, answer: httpx.Response, keep_ids: bool) -> Response:
        names = PASSED_HEADERS + (RESUMABLE_HEADERS if keep_ids else ())
        passed = {name: answer.headers[name] for name in names if name in answer.headers}
        if headers.STREAM in answer.headers:
            content = self._relay_resumable(answer, ResumableEvents(keep_ids=keep_ids), keep_ids)
        else:
            content = _relay(answer)
        return StreamingResponse(content, answer.status_code, passed)

    async def _relay_resumable(
        self, answer: httpx.Response, events: ResumableEvents, kept: bool
    ) -> AsyncIterator[bytes]:
        """The whole stream, over as many connections as it takes. `kept`: the caller may come back
        itself, so a stream that it leaves goes on."""
        stream, seconds = answer.headers[headers.STREAM], _seconds(answer)
        at: httpx.Response | None = answer
        over = False
        try:
            while at is not None:
                try:
                    async for piece in _pieces(at):
                        if passed := events.feed(piece):
                            yield passed
                    yield events.rest()
                    over = True
                    return
                except (httpx.HTTPError, TimeoutError):
                    events.drop_incomplete()
                    await at.aclose()
                    at = await self._resumed(stream, events.last_id, seconds)
            yield event(error_body(LOST, "server_error", None, "gateway_lost"))
        finally:
            if at is not None:
                self._say_farewell(at, stream if not (over or kept) else None)

    async def _resumed(self, stream: str, last_id: str, seconds: float) -> httpx.Response | None:
        """What follows the event with this id; None where it can't be had any more."""
        until, failures = time.monotonic() + seconds, 0
        sent = {headers.LAST_EVENT_ID: last_id} if last_id else {}
        timeout = httpx.Timeout(SILENT_S, connect=CONNECT_S)
        while time.monotonic() < until:
            failures += 1
            await self._pause(
                pause_s(failures, self._uniform(), first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
            )
            try:
                answer = await self._send(
                    "GET", f"{STREAMS}/{stream}", headers=sent, timeout=timeout
                )
            except httpx.HTTPError:
                continue
            if answer.status_code == 200:
                return answer
            await answer.aclose()
            if answer.status_code < 500:
                return None
        return None

    def _say_farewell(self, answer: httpx.Response, stream: str | None) -> None:
        """Close the connection, and end the stream that nobody wants any more. In a task of its
        own, as whoever reads the answer may have been cancelled."""
        task = asyncio.create_task(self._farewell(answer, stream))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _farewell(self, answer: httpx.Response, stream: str | None) -> None:
        with suppress(httpx.HTTPError):
            await answer.aclose()
            if stream is not None:
                farewell = await self._send("DELETE", f"{STREAMS}/{stream}", timeout=CONNECT_S)
                await farewell.aclose()


def _sent(http: HttpRequest, privacy: Privacy, request_id: str) -> dict[str, str]:
    """The headers that the gateway gets of a request."""
    sent = {name: http.headers[name] for name in CALLERS_HEADERS if name in http.headers}
    sent |= {} if privacy == "public" else {headers.PRIVACY: privacy}
    return sent | {headers.REQUEST_ID: request_id}


def _to_the_gateway(body: dict[str, Any]) -> dict[str, Any]:
    """With the gateway's name for a model of the device's."""
    named = GATEWAY_MODELS.get(body.get("model") or "")
    return {**body, "model": named} if named else body


def _unreachable(fields: Sequence[str]) -> BadRequest:
    return BadRequest(
        f"{', '.join(fields)}: only servers support this, and the gateway is out of reach",
        None if fields[0].startswith("/") else fields[0],
        "gateway_unreachable",
    )


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Raises TimeoutError for a connection that is silent."""
    pieces = answer.aiter_raw()
    while True:
        async with asyncio.timeout(SILENT_S):
            piece = await anext(pieces, None)
        if piece is None:
            return
        yield piece


def _seconds(answer: httpx.Response) -> float:
    """How long the gateway keeps the stream."""
    try:
        return float(answer.headers.get(headers.RESUMABLE, RESUMABLE_S))
    except ValueError:
        return float(RESUMABLE_S)


async def _relay(answer: httpx.Response) -> AsyncIterator[bytes]:
    streamed = answer.headers.get("content-type", "").lower().startswith("text/event-stream")
    try:
        async for piece in answer.aiter_raw():
            yield piece
    except httpx.HTTPError:
        if not streamed:
            # The client gets fewer bytes than announced, and sees that the answer is not whole.
            raise
        # The last piece may have ended within an event.
        yield b"\n\n" + event(error_body(LOST, "server_error", None, "gateway_lost"))
    finally:
        await answer.aclose()
