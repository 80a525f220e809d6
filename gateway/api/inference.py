"""The inference routes as plain ASGI: nothing stands between them and the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Protocol

from starlette.types import Receive, Scope, Send

from gateway.api.client_disconnect import ClientGone, Listening
from gateway.api.error_handlers import internal_error, render
from gateway.api.http_server import LATE
from gateway.api.requests.request_headers import (
    owner_of,
    peer_address,
    read_headers,
    request_id,
)
from gateway.api.requests.request_reader import RequestReader
from gateway.api.requests.response_holders import ResponseHolders
from gateway.api.resumable import ResumableAnswers
from gateway.api.sink import AsgiSink
from gateway.core.access.rate_headers import RateHeaders
from gateway.core.bodies.body_outline import SMALL_BYTES
from gateway.core.ports import Clock
from gateway.core.streams.event_log import read_event_id
from gateway.core.types import InferenceRequest
from gateway.core.upstream_errors import client_stalled
from gateway.errors import (
    ClientStalled,
    GatewayError,
    StateLost,
    TooManyAttempts,
    Unauthenticated,
)
from gateway.protocol import headers as names
from gateway.protocol.paths import ROUTES, ReadRoute, read_route
from gateway.serving.access.access import Access
from gateway.serving.access.quotas import NoPermit, Permit
from gateway.serving.requests.body_room import BodyRoom, HeldBody
from gateway.serving.requests.drain import Drain
from gateway.serving.requests.progress_timeout import ProgressTimeout
from gateway.serving.requests.relay import Sink

PATHS = frozenset(ROUTES)
_FORWARDED = ("content-type", "traceparent", "tracestate")


class RequestHandler(Protocol):
    """A way to answer a request into a sink, such as `serving.requests.relay.InferenceHandler`."""

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None: ...


class InferenceRoutes:
    """The inference routes, as plain ASGI. `handlers` answer the models that they are named by,
    `inference` all others.

    `requests` makes requests of what callers send, and `body_room` bounds what all have sent.
    `holders` knows the responses that endpoints keep. Callers have `error_s` seconds to take what
    is wrong.
    """

    def __init__(
        self,
        *,
        inference: RequestHandler,
        handlers: Mapping[str, RequestHandler] | None = None,
        clock: Clock,
        requests: RequestReader,
        body_room: BodyRoom,
        error_s: float,
        resumable: ResumableAnswers,
        drain: Drain,
        access: Access,
        holders: ResponseHolders,
    ) -> None:
        self._inference = inference
        self._handlers = handlers or {}
        self._clock = clock
        self._requests = requests
        self._body_room = body_room
        self._error_s = error_s
        self._resumable = resumable
        self._drain = drain
        self._access = access
        self._holders = holders

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope["headers"])
        path = scope["path"]
        sends = scope["method"] == "POST" and path in PATHS
        read = None if sends else read_route(scope["method"], path)
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
                timeout.expect(self._error_s, client_stalled)
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
            request = await self._requests.refused(refusal, receive, sink.path, sink.request_id)
            await self._inference.answer(request, {}, sink)
            return
        held.caller = identity.id or f"address {peer}"
        held.key, held.most = identity.key, identity.quotas.in_flight
        id = sink.request_id
        if read is None:
            request = await self._requests.with_body(scope, headers, receive, held, id, identity)
        else:
            model = self._holders.any_model(identity)
            request = await self._requests.without_body(
                read, scope, headers, receive, id, identity, model=model
            )
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
            request = await self._holders.at_holder(request, stored_id, identity, upstream)
        await self._hand_over(request, permit, upstream, held, sink, receive, send)

    async def _hand_over(
        self,
        request: InferenceRequest,
        permit: Permit | NoPermit,
        upstream: Mapping[str, str],
        held: HeldBody,
        sink: AsgiSink,
        receive: Receive,
        send: Send,
    ) -> None:
        """To whoever answers this model; a stream may then outlive its connection."""
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
