"""One request with a JSON body to an engine, for answers that the gateway itself reads."""

from __future__ import annotations

import orjson

from gateway.core.answer_faults import body_fault, status_fault
from gateway.core.ports import Answer, ModelServer
from gateway.core.types import Endpoint
from gateway.errors import InvalidRequest, UpstreamError
from gateway.protocol.errors.engine_error import read_error

_HEADERS = {"content-type": "application/json"}
MAX_SMALL_BYTES = 8 * 1024 * 1024


async def ask(server: ModelServer, endpoint: Endpoint, path: str, body: object) -> Answer:
    """An answer with status 200, not read yet. Raises UpstreamError; InvalidRequest with the
    engine's own words."""
    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(
            "messages: a value is not JSON; give texts, numbers, lists and maps alone",
            code="bad_open",
        ) from error
    answer = await server.open(endpoint, path, _HEADERS, data)
    if answer.status == 200:
        return answer
    status, headers = answer.status, answer.headers
    try:
        fault = status_fault(endpoint.id, path, status, headers)
        if fault is None:
            refusal = await read_small(answer)
            found = body_fault(endpoint.id, path, status, headers, refusal)
            if not isinstance(found, UpstreamError):
                words, field = read_error(refusal)
                raise InvalidRequest(
                    words or "the engine refused the request without saying why",
                    code="engine_refused",
                    param=field,
                )
            fault = found
        raise fault
    finally:
        answer.close()


async def read_small(answer: Answer) -> bytes:
    """The answer in one piece; it is cut where it is too large."""
    pieces, size = [], 0
    while (piece := await answer.read()) and size <= MAX_SMALL_BYTES:
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
