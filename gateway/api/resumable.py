"""Resumable streams over HTTP: by request a stream outlives its connection, and its caller can come
back to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.types import Message, Receive, Scope, Send

from gateway.api.caller_key import CallerGate
from gateway.api.client_disconnect import ClientGone, Listening
from gateway.api.description.responses import OF_CALLERS, OF_STATE, Responses, error_responses
from gateway.api.error_handlers import render
from gateway.api.requests.request_headers import authorization_of, bad_header, owner_of
from gateway.core.access.key import Identity
from gateway.core.ports import Clock
from gateway.core.streams.event_log import EVENT_ID_PATTERN, read_event_id
from gateway.core.streams.protocols import stream_protocol
from gateway.core.streams.sse import is_event_stream
from gateway.core.types import InferenceRequest
from gateway.core.upstream_errors import client_stalled
from gateway.errors import ClientStalled, Conflict, StateLost, StreamGone
from gateway.protocol import headers as names
from gateway.protocol.paths import CHAT, COMPLETIONS, RESPONSES, STREAMS
from gateway.serving.requests.progress_timeout import ProgressTimeout
from gateway.serving.resumable.resumption import Resumption
from gateway.serving.resumable.stream import (
    Reader,
    ResumableStream,
    StreamBroken,
    StreamHead,
)
from gateway.serving.resumable.streams import ResumableStreams

PATHS = frozenset({CHAT, COMPLETIONS, RESPONSES})
"""The routes whose streams can be resumed."""
_LAST_EVENT = {
    "name": names.LAST_EVENT_ID,
    "in": "header",
    "required": False,
    "description": "the last event that the caller has; without it the stream begins anew",
    "schema": {"type": "string", "pattern": EVENT_ID_PATTERN},
}
Work = Callable[[Send], Coroutine[Any, Any, None]]
"""What answers a request by the `send` that it is given. It ends a stream with an error itself."""


class ResumableAnswers:
    """The streams of requests that asked for it, and the way back to them. A connection that takes
    nothing for `stalled_s` seconds counts as broken."""

    def __init__(
        self, *, streams: ResumableStreams, resumption: Resumption, clock: Clock, stalled_s: float
    ) -> None:
        self._streams = streams
        self._resumption = resumption
        self._clock = clock
        self._stalled_s = stalled_s

    def seconds(self, request: InferenceRequest) -> float:
        """How long this request's stream will survive its connection; 0: not at all."""
        wanted = request.demands.resumable_s
        if wanted is None or not request.stream or not request.privacy.keeps:
            return 0.0
        if request.path not in PATHS:
            return 0.0
        return min(wanted, self._streams.limits.max_s)

    async def serve(
        self,
        request: InferenceRequest,
        *,
        seconds: float,
        receive: Receive,
        send: Send,
        work: Work,
    ) -> None:
        """Let `work` send its answer. Once it is a stream, it goes on without this connection.

        Raises ClientGone when the caller leaves.
        """
        recording = RecordingSend(send, request.path)
        task = asyncio.create_task(work(recording))

        def opened(head: StreamHead) -> ResumableStream:
            return self._streams.open(
                owner=request.caller.owner, seconds=seconds, head=head, work=task
            )

        recording.opened = opened
        async with Listening(receive):
            try:
                stream = await recording.stream(task)
            except asyncio.CancelledError:
                await _cancelled(task)
                raise
            if stream is not None:
                reader = self._streams.connect(stream, 0)
                await self.send_events(reader, send)

    async def resume(
        self, stream: str, owner: str, position: int
    ) -> Callable[[Receive, Send], Awaitable[None]]:
        """What sends the events after this position. Raises UnknownStream, StreamGone or
        StateLost."""
        reader = await self._resumption.resume(stream, owner, position)

        async def answer(receive: Receive, send: Send) -> None:
            try:
                async with Listening(receive):
                    await self.send_events(reader, send)
            except ClientGone:
                pass

        return answer

    async def drop(self, stream: str, owner: str) -> None:
        """Raises UnknownStream or StateLost."""
        await self._resumption.drop(stream, owner)

    async def send_events(self, reader: Reader, send: Send) -> None:
        """Send the stream as it comes. A connection that ends without a last piece tells the
        caller to come back."""
        position, last = reader.position, b""
        try:
            await send(_start(reader.head))
            while True:
                batch = await reader.read(position)
                with ProgressTimeout(self._clock.now) as timeout:
                    timeout.expect(self._stalled_s, client_stalled)
                    await send(_body(batch.data, more=not batch.final))
                position, last = batch.position, batch.data
                if batch.final:
                    return
        except (StreamGone, Conflict) as error:
            *_, body = render(error)
            event = stream_protocol(reader.head.path).failure(body, b"", last)
            await send(_body(event, more=False))
        except (StreamBroken, StateLost, ClientStalled):
            pass
        finally:
            reader.close(position)


class RecordingSend:
    """The `send` of a request whose stream shall outlive its connection. What is not a stream of
    events it passes on. `opened` makes the stream."""

    opened: Callable[[StreamHead], ResumableStream]

    def __init__(self, send: Send, path: str) -> None:
        self._send = send
        self._path = path
        self._stream: ResumableStream | None = None
        self._opened = asyncio.Event()

    async def stream(self, work: asyncio.Task[None]) -> ResumableStream | None:
        """The stream, once it has begun; None where the answer that was sent is none."""
        opened = asyncio.create_task(self._opened.wait())
        try:
            await asyncio.wait({work, opened}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
        if self._stream is None:
            await work
        return self._stream

    async def __call__(self, message: Message) -> None:
        stream = self._stream
        if stream is not None:
            await stream.write(message.get("body", b""))
            if not message.get("more_body"):
                stream.end()
        elif message["type"] == "http.response.start" and _is_event_stream(message):
            head = StreamHead(self._path, message["status"], tuple(message["headers"]))
            self._stream = self.opened(head)
            self._stream.head = _resumable_head(self._stream)
            self._opened.set()
        else:
            await self._send(message)


def streams_router(gate: CallerGate, answers: ResumableAnswers) -> APIRouter:
    router, caller = APIRouter(tags=["inference"]), Depends(gate)
    lost = (*OF_CALLERS, "unknown_stream", "stream_gone", "stream_lost", *OF_STATE)
    events: Responses = {
        200: {
            "description": "the events after the one that `last-event-id` names",
            "content": {"text/event-stream": {}},
        }
    }

    @router.get(
        STREAMS + "/{stream}",
        summary="What the caller missed of a resumable stream, and the rest",
        response_class=Response,
        responses=error_responses(*lost, "invalid_header") | events,
        openapi_extra={"parameters": [_LAST_EVENT]},
    )
    async def resume(stream: str, request: Request, identity: Identity = caller) -> Response:
        position = _position(stream, request.headers.get(names.LAST_EVENT_ID))
        owner = owner_of(identity, authorization_of(request.scope))
        return _Events(await answers.resume(stream, owner, position))

    @router.delete(
        STREAMS + "/{stream}",
        summary="End a resumable stream that its caller wants no longer",
        status_code=204,
        responses=error_responses(*OF_CALLERS, "unknown_stream", *OF_STATE),
    )
    async def drop(stream: str, request: Request, identity: Identity = caller) -> None:
        await answers.drop(stream, owner_of(identity, authorization_of(request.scope)))

    return router


class _Events(Response):
    """A response that sends a stream."""

    def __init__(self, answer: Callable[[Receive, Send], Awaitable[None]]) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(receive, send)


def _position(stream: str, value: str | None) -> int:
    """Raises InvalidRequest for the id of another stream's event."""
    if value is None or not value.strip():
        return 0
    found = read_event_id(value.strip())
    if found is None or found[0] != stream:
        raise bad_header(names.LAST_EVENT_ID, f"the id of an event of the stream {stream[:64]!r}")
    return found[1]


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _is_event_stream(message: Message) -> bool:
    headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
    return message["status"] == 200 and is_event_stream(headers)


def _resumable_head(stream: ResumableStream) -> StreamHead:
    added = (
        (names.STREAM.encode(), stream.id.encode()),
        (names.RESUMABLE.encode(), f"{stream.seconds:g}".encode()),
        # The way back is a GET, and no proxy may answer it from a cache.
        (b"cache-control", b"no-store"),
    )
    kept = (item for item in stream.head.headers if item[0] != b"cache-control")
    return StreamHead(stream.head.path, stream.head.status, (*kept, *added))


def _start(head: StreamHead) -> Message:
    return {"type": "http.response.start", "status": head.status, "headers": list(head.headers)}


def _body(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}
