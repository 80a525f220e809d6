"""The rest of a stream whose engine broke in the middle, and the one rule for asking for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.core.outcome import Outcome
from gateway.core.streams.continuation import SentAnswer
from gateway.core.types import EndpointState, InferenceRequest
from gateway.errors import GatewayError, UpstreamError
from gateway.serving.requests.dispatch import OpenAnswer

MAX_BREAKS = 8
"""A stream that breaks more often ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRest:
    """The rest of a stream whose engine broke: an answer that has begun elsewhere, or, where all
    but its end had been sent, that `ending`."""

    opened: OpenAnswer | None = None
    ending: bytes = b""


class StreamContinuation(Protocol):
    """The way to go on with a stream that the endpoint `broken` was writing. None where nobody
    can. Raises GatewayError when no endpoint goes on."""

    async def resume(
        self,
        *,
        request: InferenceRequest,
        headers: Mapping[str, str],
        outcome: Outcome,
        sent: SentAnswer,
        broken: EndpointState,
    ) -> StreamRest | None: ...


async def rest_of_stream(
    continuation: StreamContinuation | None,
    *,
    request: InferenceRequest,
    headers: Mapping[str, str],
    outcome: Outcome,
    sent: SentAnswer | None,
    broken: EndpointState,
    error: UpstreamError,
) -> StreamRest:
    """What goes on with the stream that broke with this error, which is raised where nothing does.
    `continuation` and `sent` are None for a stream that is not to go on."""
    if sent is None or continuation is None or outcome.resumptions >= MAX_BREAKS:
        raise error
    try:
        rest = await continuation.resume(
            request=request, headers=headers, outcome=outcome, sent=sent, broken=broken
        )
    except GatewayError as failure:
        raise error from failure
    if rest is None:
        raise error
    outcome.resumptions += 1
    return rest
