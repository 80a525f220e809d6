"""What a request's headers make of its stream, and how a stream ends whose caller has left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from starlette.types import Message

from gateway.adapters.clock import MonotonicClock
from gateway.api.inference import InferenceRoutes
from gateway.api.requests.body_reader import BodyReader
from gateway.api.requests.request_reader import ComposedLimits, RequestReader
from gateway.api.requests.response_holders import ResponseHolders
from gateway.core.admission import AdmissionLimits
from gateway.core.bodies.body_outline import OutlineLimits
from gateway.core.outcome import Outcome
from gateway.core.privacy import PrivacyRule
from gateway.core.types import InferenceRequest
from gateway.errors import EngineFailed
from gateway.protocol.paths import CHAT
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.body_room import BodyRoom
from gateway.serving.requests.drain import Drain, DrainTimes
from gateway.serving.requests.media_names import MediaNames
from gateway.serving.requests.relay import Sink
from gateway.serving.requests.stored_responses import StoredResponses
from gateway.serving.resumable.streams import StreamLimits
from gateway.settings.bounds import RequestLimits
from gateway.wiring.web import request_bounds
from tests.unit.gateway.access_rig import open_access
from tests.unit.gateway.core.streams.test_event_log import without_ids
from tests.unit.gateway.fakes import FakeEndpoints, FakeServer, FixedNames, Recorder
from tests.unit.gateway.serving.resumable.stream_rig import (
    LIMITS,
    Caller,
    Replica,
    replica,
    states,
)

pytestmark = pytest.mark.anyio
EVENTS = [b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n"]
BODY = b'{"model": "rill-edge", "prompt": "hi", "input": "hi", "stream": true}'
ROUTES = ["/v1/completions", "/v1/responses"]


class Handler:
    """Answers with EVENTS; what is `raised` comes after the first, once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.raised: Exception | None = None

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None:
        if request.fault is not None:
            raise request.fault
        outcome = Outcome(request=request)
        await sink.start(200, {"content-type": "text/event-stream"}, outcome, None)
        await sink.send(EVENTS[0], more=True)
        await self.gate.wait()
        if self.raised is not None:
            raise self.raised
        for event in EVENTS[1:]:
            await sink.send(event, more=event != EVENTS[-1])


class Post(Caller):
    """A caller that sends a body first."""

    def __init__(self, breaks_after: int | None = None, body: bytes = BODY) -> None:
        super().__init__(breaks_after)
        self._sent: bytes | None = body

    async def receive(self) -> Message:
        sent, self._sent = self._sent, None
        if sent is not None:
            return {"type": "http.request", "body": sent, "more_body": False}
        return await super().receive()


def request_reader(clock: MonotonicClock) -> RequestReader:
    return RequestReader(
        clock=clock,
        bodies=BodyReader(
            clock=clock,
            max_bytes=1000,
            outline=OutlineLimits(1 << 20, 1 << 14, 1 << 17),
            body_s=30.0,
            body_rate=65_536.0,
        ),
        composed=ComposedLimits(1000, 1000),
        bounds=request_bounds(RequestLimits()),
        media_names=MediaNames(FixedNames({"pictures.example.com": ["10.0.0.7"]}), clock),
        privacy=PrivacyRule.of(owner_tiers=[], private_tiers=[]),
    )


class Gateway:
    def __init__(self, at: Replica) -> None:
        self.handler = Handler()
        self.streams = at
        clock, telemetry = MonotonicClock(), Recorder()
        limits = AdmissionLimits(max_in_flight=8, max_queue=8, max_wait_s=30.0)
        access, endpoints = open_access(), FakeEndpoints([])
        self._routes = InferenceRoutes(
            inference=self.handler,
            clock=clock,
            requests=request_reader(clock),
            body_room=BodyRoom(1000, telemetry),
            error_s=30.0,
            resumable=at.answers,
            access=access,
            drain=Drain(
                admission=Admission(limits, clock, telemetry),
                times=DrainTimes(0.0, 0.0),
                clock=clock,
                telemetry=telemetry,
                leave=lambda: None,
                others=lambda: 0,
            ),
            holders=ResponseHolders(
                stored=StoredResponses(endpoints=endpoints, server=FakeServer({})),
                access=access,
                endpoints=endpoints,
            ),
        )

    async def post(self, caller: Post, path: str = ROUTES[0], **headers: str) -> Post:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"method": "POST", "path": path, "headers": raw}
        await self._routes(scope, caller.receive, caller.send)
        return caller


@asynccontextmanager
async def gateway(limits: StreamLimits = LIMITS) -> AsyncIterator[Gateway]:
    async with replica(limits=limits) as here:
        yield Gateway(here)


async def test_without_the_header_a_stream_is_the_engines_own() -> None:
    async with gateway() as here:
        caller = await here.post(Post())
        assert caller.body == b"".join(EVENTS)
        assert "x-tierflow-stream" not in caller.headers
        assert states(here.streams) == (0, 0, 0)


@pytest.mark.parametrize("path", ROUTES)
async def test_with_the_header_it_has_ids(path: str) -> None:
    async with gateway() as here:
        caller = await here.post(Post(), path, x_tierflow_resumable="30")
        assert without_ids(caller.body) == b"".join(EVENTS)
        assert caller.complete
        assert states(here.streams) == (0, 0, 1)


@pytest.mark.parametrize("path", ["/tokenize", "/v1/embeddings"])
async def test_other_routes_have_no_resumable_streams(path: str) -> None:
    async with gateway() as here:
        caller = await here.post(Post(), path, x_tierflow_resumable="30")
        assert "x-tierflow-stream" not in caller.headers


async def test_an_operator_may_turn_it_off() -> None:
    async with gateway(replace(LIMITS, max_s=0.0)) as here:
        caller = await here.post(Post(), x_tierflow_resumable="30")
        assert caller.body == b"".join(EVENTS)
        assert "x-tierflow-stream" not in caller.headers


async def test_a_bad_header_is_a_fault_of_the_request() -> None:
    async with gateway() as here:
        caller = await here.post(Post(), x_tierflow_resumable="soon")
        assert caller.status == 400
        assert b'"param":"x-tierflow-resumable"' in caller.body


async def test_the_same_request_with_the_last_id_goes_on() -> None:
    async with gateway() as here:
        here.handler.gate.clear()
        first = await here.post(Post(breaks_after=1), x_tierflow_resumable="30")
        here.handler.gate.set()
        last = first.headers["x-tierflow-stream"] + ":1"
        again = await here.post(Post(), x_tierflow_resumable="30", last_event_id=last)
        assert without_ids(again.body) == b"".join(EVENTS[1:])
        other = await here.post(Post(), last_event_id="the id of another kind of stream")
        assert other.body == b"".join(EVENTS)


@pytest.mark.parametrize(
    ("path", "end"), list(zip(ROUTES, (b'{"error":', b"response.failed"), strict=True))
)
@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (EngineFailed("it broke", endpoint="edge:1", code="engine_error"), b"engine_error"),
        (ValueError("a secret prompt"), b"internal_error"),
    ],
)
async def test_an_error_after_the_caller_has_left_waits_for_it_in_the_routes_own_words(
    path: str, end: bytes, raised: Exception, code: bytes
) -> None:
    async with gateway() as here:
        here.handler.gate.clear()
        here.handler.raised = raised
        first = await here.post(Post(breaks_after=1), path, x_tierflow_resumable="30")
        here.handler.gate.set()
        last = first.headers["x-tierflow-stream"] + ":1"
        again = await here.post(Post(), path, last_event_id=last)
        assert again.complete
        assert again.body.count(b"data: ") == 1
        assert end in again.body and code in again.body
        assert b"secret" not in again.body


async def test_a_caller_that_leaves_before_the_stream_begins_cancels_the_work() -> None:
    class Waiting(Handler):
        cancelled = False

        async def answer(
            self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
        ) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled = True

    async with gateway() as here:
        waiting = Waiting()
        here._routes._inference = waiting
        await here.post(Post(breaks_after=0), x_tierflow_resumable="30")
        assert waiting.cancelled
        assert states(here.streams) == (0, 0, 0)


@pytest.mark.parametrize(("host", "status"), [("pictures.example.com", 400), ("example.org", 200)])
async def test_no_picture_is_fetched_from_a_name_that_leads_to_a_private_address(
    host: str, status: int
) -> None:
    image = {"type": "image_url", "image_url": {"url": f"https://{host}/cat.png"}}
    body = {"model": "rill-edge", "messages": [{"role": "user", "content": [image]}]}
    async with replica() as at:
        caller = await Gateway(at).post(Post(body=json.dumps(body).encode()), CHAT)
    assert caller.status == status
