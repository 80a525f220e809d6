"""The way to the engines for one request for whose answer the gateway leaves drafts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import orjson

from gateway.core.ports import Answer, DraftingEngines, DraftSource, ModelServer
from gateway.core.speculation.eligibility import Fields, undraftable
from gateway.core.speculation.job import DraftFacts
from gateway.core.streams.sse import is_event_stream
from gateway.core.types import Endpoint
from gateway.serving.speculation.drafted_answer import DraftedStream, DraftedWhole

MAX_BODY_BYTES = 1024 * 1024
"""The largest body that is read and written anew for an answer with drafts."""


class DraftedRequest(Protocol):
    """What is to be drafted for one request, at whichever endpoint answers it.

    `source` gives what drafts for the answer to a body with these `fields`, as it would go to this
    endpoint without drafts; None: nothing drafts there. `engine_fields` is what the engine is to
    get of the fields in either case. `unused` says why an endpoint is asked plainly.
    `usage_details` are what the usage is to tell of the drafts that the last source has left.
    """

    def source(
        self, endpoint: Endpoint, facts: DraftFacts, path: str, fields: Fields
    ) -> DraftSource | None: ...

    def engine_fields(self, fields: Fields) -> Fields: ...

    def unused(self, reason: str) -> None: ...

    def usage_details(self) -> Mapping[str, int]: ...


class DraftedServer:
    """A `ModelServer` for one request: where an endpoint takes drafts, `drafted` leaves some there
    while the engine answers. `stream`: the answer is to be one. `new_id` gives session names that
    nobody can guess. `marks`: a stream's events say who made their tokens."""

    def __init__(
        self,
        *,
        server: ModelServer,
        engines: DraftingEngines,
        drafted: DraftedRequest,
        stream: bool,
        new_id: Callable[[], str],
        marks: bool = False,
    ) -> None:
        self._server = server
        self._engines = engines
        self._drafted = drafted
        self._stream = stream
        self._new_id = new_id
        self._marks = marks

    async def open(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """As the server's own. The answer has the form that `body` asks for."""
        fields = orjson.loads(body) if body is not None and len(body) <= MAX_BODY_BYTES else None
        if not isinstance(fields, dict):
            self._drafted.unused("body-too-large")
            return await self._server.open(endpoint, path, headers, body)
        fields = dict(self._drafted.engine_fields(fields))
        source = self._source(endpoint, path, fields)
        if source is None:
            return await self._server.open(endpoint, path, headers, orjson.dumps(fields))
        session = self._new_id()
        try:
            data = orjson.dumps(drafted_fields(fields, session, stream=self._stream))
            # Before the request is a round trip away: drafts can be there when the engine begins.
            source.start(partial(self._engines.put, endpoint, session))
            answer = await self._server.open(endpoint, path, headers, data)
            if answer.status != 200 or not is_event_stream(answer.headers):
                source.close()
                return answer
        except BaseException:
            source.close()
            raise
        shows_ids = fields.get("return_token_ids") is True
        details = self._drafted.usage_details
        if self._stream:
            return DraftedStream(
                answer=answer,
                endpoint=endpoint.id,
                source=source,
                shows_ids=shows_ids,
                usage_details=details,
                marks=self._marks,
            )
        return DraftedWhole(
            answer=answer,
            path=path,
            endpoint=endpoint.id,
            source=source,
            shows_ids=shows_ids,
            usage_details=details,
        )

    async def close(self) -> None:
        """The server is not this request's own."""

    def _source(
        self, endpoint: Endpoint, path: str, fields: Mapping[str, Any]
    ) -> DraftSource | None:
        facts = self._engines.facts(endpoint)
        if facts.per_step < 1:
            self._drafted.unused("endpoint-takes-no-drafts")
            return None
        if (name := undraftable(path, fields, stream=self._stream)) is not None:
            self._drafted.unused(name)
            return None
        return self._drafted.source(endpoint, facts, path, fields)


def drafted_fields(fields: Mapping[str, Any], session: str, *, stream: bool) -> dict[str, Any]:
    """The body for an engine that is to take drafts of this session: always a stream, which tells
    token ids."""
    drafted = {**fields, "return_token_ids": True}
    drafted["vllm_xargs"] = {**(fields.get("vllm_xargs") or {}), "draft_session": session}
    if not stream:
        drafted |= {"stream": True, "stream_options": {"include_usage": True}}
    return drafted
