"""The inference routes as plain ASGI: they run once per token batch, so nothing stands between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from starlette.types import Receive, Scope, Send

from gateway.api.body_reader import BodyReader
from gateway.api.client_disconnect import ClientGone, Listening, await_disconnect
from gateway.api.error_handlers import internal_error, render
from gateway.api.http_server import LATE
from gateway.api.parsing import (
    check_encoding,
    owner_of,
    parse,
    parse_read,
    peer_address,
    read_headers,
    request_id,
    unread,
)
from gateway.api.resumable import ResumableAnswers
from gateway.core.access.key import Identity
from gateway.core.access.rate_headers import RateHeaders
from gateway.core.anthropic_errors import anthropic_error
from gateway.core.body import in_utf8
from gateway.core.body_outline import SMALL_BYTES, BodyOutline, OutlineLimits
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, EndpointSource
from gateway.core.privacy import PrivacyRule
from gateway.core.request_bounds import RequestBounds
from gateway.core.streams.event_log import read_event_id
from gateway.core.streams.protocols import stream_protocol
from gateway.core.types import Caller, EndpointState, InferenceRequest
from gateway.core.upstream_errors import client_stalled
from gateway.errors import (
    BodyTooLarge,
    ClientStalled,
    GatewayError,
    InvalidRequest,
    Overloaded,
    QuotaExceeded,
    StateLost,
    TooManyAttempts,
    Unauthenticated,
)
from gateway.protocol import headers as names
from gateway.protocol.paths import OTHER, READ_ROUTES, ROUTES, ReadRoute, read_route
from gateway.protocol.virtual_models import AUTO
from gateway.serving.access.access import Access
from gateway.serving.requests.body_room import BodyRoom, HeldBody
from gateway.serving.requests.drain import Drain
from gateway.serving.requests.media_names import MediaNames
from gateway.serving.requests.progress_timeout import ProgressTimeout
from gateway.serving.requests.relay import Sink
from gateway.serving.requests.stored_responses import StoredResponses

PATHS = frozenset(ROUTES)
_RELAYED = tuple((name, name.encode()) for name in ("content-type", "cache-control", "retry-after"))
"""What of an engine's headers its caller gets. All others speak for the engine's own server, or to
browsers and proxies in the gateway's name: cookies, permissions of origins, encodings."""
_REQUEST_ID, _TIER, _ENDPOINT, _REASON = (
    name.encode() for name in (names.REQUEST_ID, names.TIER, names.ENDPOINT, names.REASON)
)
_FORWARDED = ("content-type", "traceparent", "tracestate")


class RequestHandler(Protocol):
    """A way to answer a request into a sink, such as `serving.requests.relay.InferenceHandler`."""

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class ComposedLimits:
    """The most bytes, and characters beside pictures, of a body that the gateway reads whole."""

    max_bytes: int
    max_chars: int


class InferenceRoutes:
    """The inference routes, as plain ASGI. `handlers` answer the models that they are named by,
    `inference` all others.

    `max_body_bytes`, `outline`, `body_s` (seconds) and `body_rate` (bytes per second) bound what a
    caller may send, and how slowly; for the models of `handlers`, which read all of a body,
    `composed` does so as well. `body_room` bounds what all have sent, and `bounds` what may be
    asked for; `media_names` says where engines may fetch from. `stored` finds the responses that
    engines keep. `continues`: streams are continued whose engine breaks.
    """

    def __init__(
        self,
        *,
        inference: RequestHandler,
        clock: Clock,
        max_body_bytes: int,
        composed: ComposedLimits,
        outline: OutlineLimits,
        bounds: RequestBounds,
        media_names: MediaNames,
        body_room: BodyRoom,
        body_s: float,
        body_rate: float,
        resumable: ResumableAnswers,
        drain: Drain,
        access: Access,
        privacy: PrivacyRule,
        handlers: Mapping[str, RequestHandler] | None = None,
        stored: StoredResponses,
        endpoints: EndpointSource,
        continues: bool = False,
    ) -> None:
        self._inference = inference
        self._stored = stored
        self._endpoints = endpoints
        self._handlers = handlers or {}
        self._resumable = resumable
        self._drain = drain
        self._access = access
        self._privacy = privacy
        self._clock = clock
        self._bodies = BodyReader(
            clock=clock,
            max_bytes=max_body_bytes,
            outline=outline,
            body_s=body_s,
            body_rate=body_rate,
        )
        self._composed = composed
        self._bounds = bounds
        self._media_names = media_names
        self._body_room = body_room
        self._body_s = body_s
        self._continues = continues

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope["headers"])
        path = scope["path"]
        read = None if path in PATHS else read_route(scope["method"], path)
        sink = AsgiSink(send, request_id(headers), path if read is None else read.path)
        try:
            with HeldBody(self._body_room) as held:
                await self._answer(scope, headers, receive, send, sink, held, read)
        except ClientGone:
            pass
        except GatewayError as error:
            if not isinstance(error, ClientStalled):
                await self._end(sink, *render(error))
        except Exception as error:
            await self._end(sink, 500, {}, internal_error(error, sink.request_id))

    async def _end(
        self, sink: AsgiSink, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Tell the caller of an error, but do not wait for one that reads nothing."""
        try:
            with ProgressTimeout(self._clock.now) as timeout:
                timeout.expect(self._body_s, client_stalled)
                await sink.end(status, headers, body)
        except ClientStalled:
            pass

    async def _record(
        self,
        handler: RequestHandler,
        request: InferenceRequest,
        upstream: Mapping[str, str],
        held: HeldBody,
        permit: AbstractContextManager[object],
        rate_headers: RateHeaders,
        send: Send,
    ) -> None:
        """The work of a stream that may outlive its connection, to its end, good or not. It needs
        the body as long, and its place in the caller's quotas."""
        sink = AsgiSink(send, request.id, request.path)
        sink.rate_headers = rate_headers
        with held, permit:
            try:
                await handler.answer(request, upstream, sink)
            except GatewayError as error:
                await sink.end(*render(error))
            except Exception as error:
                await sink.end(500, {}, internal_error(error, request.id))

    async def _answer(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        send: Send,
        sink: AsgiSink,
        held: HeldBody,
        read: ReadRoute | None,
    ) -> None:
        authorization = headers.get(names.AUTHORIZATION, "")
        try:
            peer = peer_address(scope)
            identity = await self._access.identify(authorization, peer, scope["headers"])
        except (Unauthenticated, StateLost, TooManyAttempts) as refusal:
            await self._refuse(refusal, receive, sink)
            return
        held.caller = identity.id or f"address {peer}"
        held.key, held.most = identity.key, identity.quotas.in_flight
        if read is None:
            request = await self._request(scope, headers, receive, held, sink.request_id, identity)
        else:
            request = await self._read(read, scope, headers, receive, sink.request_id, identity)
        if len(request.body) > SMALL_BYTES:
            await asyncio.sleep(0)
        # A client sends its whole request again to come back, as libraries for POST do.
        if (last := headers.get(names.LAST_EVENT_ID)) and (found := read_event_id(last)):
            stream, position = found
            owner = owner_of(identity, authorization)
            answer = await self._resumable.resume(stream, owner, position)
            await answer(receive, send)
            return
        if LATE in scope.get("state", ()):
            request = replace(request, fault=self._drain.refusal())
        request, permit = self._access.admit(request, identity)
        sink.rate_headers = permit.rate_headers
        upstream = {name: headers[name] for name in _FORWARDED if name in headers}
        upstream[names.REQUEST_ID] = sink.request_id
        stored_id = request.follows if read is None else read.response_id
        if stored_id and request.fault is None and request.model not in self._handlers:
            request = await self._at_holder(request, stored_id, identity, upstream)
        handler = self._handlers.get(request.model, self._inference)
        with permit:
            if seconds := self._resumable.seconds(request):
                work = partial(
                    self._record, handler, request, upstream, held, permit, sink.rate_headers
                )
                await self._resumable.serve(
                    request, seconds=seconds, receive=receive, send=send, work=work
                )
                return
            async with Listening(receive, lambda: sink.complete):
                await handler.answer(request, upstream, sink)

    async def _read(
        self,
        read: ReadRoute,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        id: str,
        identity: Identity,
    ) -> InferenceRequest:
        """A request of a route without a body. Any model will do that the caller may name."""
        await self._bodies.forget(receive)
        may_ask = partial(self._access.may_ask, identity)
        names_there = (name for state in self._endpoints.states() for name in state.models)
        return parse_read(
            read,
            headers,
            scope["query_string"].decode("latin-1"),
            id=id,
            received=self._clock.now(),
            privacy=self._privacy,
            peer=peer_address(scope),
            identity=identity,
            method=READ_ROUTES[read.path],
            model=next(filter(may_ask, (AUTO, *names_there)), AUTO),
        )

    async def _at_holder(
        self,
        request: InferenceRequest,
        response_id: str,
        identity: Identity,
        upstream: Mapping[str, str],
    ) -> InferenceRequest:
        """The request, to be answered by the endpoint that has this response. It is looked for only
        where the caller might get its answers."""

        def names_for(state: EndpointState) -> list[str]:
            tier = state.endpoint.tier
            if not request.privacy.allows(tier):
                return []
            return [
                name
                for name in (AUTO, *state.models)
                if self._access.may_ask(identity, name, tier.value)
            ]

        try:
            holder = await self._stored.holder(
                response_id, upstream, lambda state: bool(names_for(state))
            )
        except GatewayError as error:
            return replace(request, fault=error)
        if request.model_in_body:
            return replace(request, endpoint=holder.endpoint.id)
        return replace(request, endpoint=holder.endpoint.id, model=names_for(holder)[0])

    def _checked_to_compose(
        self, request: InferenceRequest, outline: BodyOutline
    ) -> InferenceRequest:
        """All of the body is read for this model, several times: what it costs is its text."""
        size, chars = len(request.body), len(outline.text) + outline.chars_left_out
        if size > self._composed.max_bytes:
            problem = f"{size} bytes", f"{self._composed.max_bytes} (limits.max_composed_bytes)"
        elif chars > self._composed.max_chars:
            problem = (
                f"{chars} characters beside pictures",
                f"{self._composed.max_chars} (limits.max_composed_chars)",
            )
        else:
            return request
        fault = BodyTooLarge(
            f"the body has {problem[0]}; for {request.model} the limit is {problem[1]}",
            code="body_too_large",
        )
        return replace(request, fault=fault)

    async def _refuse(self, refusal: GatewayError, receive: Receive, sink: AsgiSink) -> None:
        """The body is read, and forgotten: one who is cut off in sending sees no answer."""
        await self._bodies.forget(receive)
        request = unread(sink.path, sink.request_id, self._clock.now(), refusal)
        await self._inference.answer(request, {}, sink)

    async def _request(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        held: HeldBody,
        id: str,
        identity: Identity,
    ) -> InferenceRequest:
        """What is wrong with the request, or with its body's size or coming, is its `fault`."""
        received, path = self._clock.now(), scope["path"]
        try:
            form = ROUTES[path].form
            body, outline = await self._bodies.read(headers, receive, held, form=form)
            check_encoding(headers.get("content-encoding"))
        except (InvalidRequest, Overloaded, QuotaExceeded) as error:
            return unread(path, id, received, error, Caller(key=identity.key))
        request = parse(
            path,
            headers,
            body if outline is not None or form else in_utf8(body),
            id=id,
            received=received,
            privacy=self._privacy,
            peer=peer_address(scope),
            identity=identity,
            continues=self._continues,
            outline=outline,
            bounds=self._bounds,
        )
        if outline is not None and request.model in self._handlers:
            request = self._checked_to_compose(request, outline)
        if request.media_names and request.fault is None:
            fault = await self._media_names.problem(request.media_names)
            request = replace(request, fault=fault)
        return request


class AsgiSink:
    """The caller's end of an answer to a request of the route `path`."""

    def __init__(self, send: Send, request_id: str, path: str) -> None:
        self._send = send
        self.request_id = request_id
        self.path = path
        self._protocol = stream_protocol(path)
        self._anthropic = ROUTES.get(path, OTHER).anthropic
        self.rate_headers: RateHeaders = ()
        self._started = self._streams = self._ended = False
        self._first = self._last = b""
        self.complete = False
        """The connection has all of it."""

    async def start(
        self, status: int, headers: Mapping[str, str], outcome: Outcome, length: int | None
    ) -> None:
        raw = [
            (name, value.encode("utf-8", "surrogateescape"))
            for key, name in _RELAYED
            if (value := headers.get(key))
        ]
        raw += [
            (_REQUEST_ID, self.request_id.encode()),
            (_TIER, outcome.tier.encode()),
            (_ENDPOINT, outcome.endpoint.encode()),
            (_REASON, outcome.reason.encode()),
            *self.rate_headers,
        ]
        if length is not None:
            raw.append((b"content-length", str(length).encode()))
        self._started, self._streams = True, length is None
        try:
            await self._send({"type": "http.response.start", "status": status, "headers": raw})
        except RuntimeError as error:
            await await_disconnect(error)

    async def send(self, data: bytes, more: bool) -> None:
        self._ended = not more
        if self._protocol.numbered and not data.startswith(b":"):
            self._first, self._last = self._first or data, data
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": more})
        except RuntimeError as error:
            await await_disconnect(error)
        if not more:
            self.complete = True
            # The loop writes at the end of its turn: what is counted and settled after an answer
            # does not hold it up.
            await asyncio.sleep(0)

    async def fail(self, error: GatewayError) -> None:
        """End a stream that has begun."""
        _, _, body = render(error)
        await self._fail(body)

    async def end(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """End the answer with an error, whose status and headers are for one that has not begun. A
        stream that has begun ends with an event; in a body there is no room for an error."""
        if self._streams and not self._ended:
            await self._fail(body)
        if self._started:
            return
        if self._anthropic:
            body = anthropic_error(body, status)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        raw += [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (_REQUEST_ID, self.request_id.encode()),
            *self.rate_headers,
        ]
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send(body, more=False)

    async def _fail(self, body: bytes) -> None:
        await self.send(self._protocol.failure(body, self._first, self._last), more=False)
