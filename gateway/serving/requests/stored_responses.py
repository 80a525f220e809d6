"""The responses that engines keep (`store` and `background` of the Responses API): which endpoint
has one. An engine keeps them in its own memory, so every replica of the gateway finds them by
asking the endpoints, and remembers where it found one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from gateway.core.bounded_dict import BoundedDict
from gateway.core.ports import EndpointSource, ModelServer
from gateway.core.types import Endpoint, EndpointState
from gateway.errors import NoEndpoint, UnknownResponse, UpstreamError
from gateway.protocol.paths import RESPONSES

MAX_KNOWN = 4096
SEARCHES = 8
"""So many searches ask at the same time; others wait."""
ASKED_AT_ONCE = 32
"""Endpoints, in one search."""
ASK_S = 5.0
RETRY_AFTER_S = 2.0

_NO_WORD = frozenset({401, 402, 403, 407, 408, 421, 425, 429})
"""These don't say whether it is there."""


class Found(Enum):
    """What an endpoint says of a response."""

    HERE = "here"
    NOT_HERE = "not here"
    SILENT = "no answer"


class StoredResponses:
    """The search for the endpoint that has a stored response."""

    def __init__(self, *, endpoints: EndpointSource, server: ModelServer) -> None:
        self._endpoints = endpoints
        self._server = server
        self._known: BoundedDict[str, str] = BoundedDict(MAX_KNOWN)
        self._searches = asyncio.Semaphore(SEARCHES)

    async def holder(
        self,
        response_id: str,
        headers: Mapping[str, str],
        allowed: Callable[[EndpointState], bool],
    ) -> EndpointState:
        """The endpoint, among those `allowed`, that has it. Raises UnknownResponse, and NoEndpoint
        where one that might have it can't be asked."""
        states = [state for state in self._endpoints.states() if allowed(state)]
        known = self._known.get(response_id)
        for state in states:
            if state.endpoint.id == known:
                return state
        async with self._searches:
            found = await self._search(response_id, headers, states)
        self._known[response_id] = found.endpoint.id
        return found

    async def _search(
        self, response_id: str, headers: Mapping[str, str], states: Sequence[EndpointState]
    ) -> EndpointState:
        silent = [state for state in states if not state.healthy]
        asked = [state for state in states if state.healthy]
        for start in range(0, len(asked), ASKED_AT_ONCE):
            some = asked[start : start + ASKED_AT_ONCE]
            results = await asyncio.gather(
                *(self._ask(state.endpoint, response_id, headers) for state in some)
            )
            for state, result in zip(some, results, strict=True):
                if result is Found.HERE:
                    return state
                if result is Found.SILENT:
                    silent.append(state)
        if silent:
            raise NoEndpoint(
                f"{len(silent)} of the endpoints that may have this response can't be asked now",
                retry_after=RETRY_AFTER_S,
                code="no_endpoint",
            )
        raise UnknownResponse(
            f"no endpoint has the response {response_id!r}; engines keep responses only where that "
            "is switched on, and until they restart",
            param="response_id",
            code="unknown_response",
        )

    async def _ask(self, endpoint: Endpoint, response_id: str, headers: Mapping[str, str]) -> Found:
        path = f"{RESPONSES}/{response_id}"
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self._server.open(endpoint, path, headers, None)
                try:
                    status = answer.status
                    while await answer.read():
                        pass
                    answer.drain()
                finally:
                    answer.close()
        except (UpstreamError, TimeoutError):
            return Found.SILENT
        if status == 200:
            return Found.HERE
        refused = 400 <= status < 500 and status not in _NO_WORD
        return Found.NOT_HERE if refused or status == 501 else Found.SILENT
