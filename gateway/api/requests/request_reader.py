"""Makes the requests of the inference routes out of what callers send."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from starlette.types import Receive, Scope

from gateway.api.requests.body_reader import BodyReader
from gateway.api.requests.parsing import parse, parse_read, unread
from gateway.api.requests.request_headers import check_encoding, peer_address
from gateway.core.access.key import Identity
from gateway.core.bodies.body_outline import BodyOutline
from gateway.core.bodies.request_bounds import RequestBounds
from gateway.core.ports import Clock
from gateway.core.privacy import PrivacyRule
from gateway.core.types import Caller, InferenceRequest
from gateway.errors import BodyTooLarge, GatewayError, InvalidRequest, Overloaded, QuotaExceeded
from gateway.protocol.paths import READ_ROUTES, ROUTES, ReadRoute
from gateway.protocol.requests.json_encoding import in_utf8
from gateway.serving.requests.body_room import HeldBody
from gateway.serving.requests.media_names import MediaNames


@dataclass(frozen=True, slots=True)
class ComposedLimits:
    """The most bytes, and characters beside pictures, of a body that the gateway reads whole."""

    max_bytes: int
    max_chars: int


class RequestReader:
    """The reader of requests. What is wrong with one, or with its body's size or coming, is its
    `fault`.

    `bodies` and `bounds` say what callers may send and ask for; for the models of `composing`,
    which read all of a body, `composed` does so as well. `media_names` says where engines may fetch
    from. `continues`: streams are continued whose engine breaks.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        bodies: BodyReader,
        composing: Collection[str] = (),
        composed: ComposedLimits,
        bounds: RequestBounds,
        media_names: MediaNames,
        privacy: PrivacyRule,
        continues: bool = False,
    ) -> None:
        self._clock = clock
        self._bodies = bodies
        self._composing = composing
        self._composed = composed
        self._bounds = bounds
        self._media_names = media_names
        self._privacy = privacy
        self._continues = continues

    async def with_body(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        held: HeldBody,
        id: str,
        identity: Identity,
    ) -> InferenceRequest:
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
        if outline is not None and request.model in self._composing:
            request = self._checked_to_compose(request, outline)
        if request.media_names and request.fault is None:
            fault = await self._media_names.problem(request.media_names)
            request = replace(request, fault=fault)
        return request

    async def without_body(
        self,
        read: ReadRoute,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        id: str,
        identity: Identity,
        *,
        model: str,
    ) -> InferenceRequest:
        """`model`: a name for which an endpoint is to be chosen. A body is not looked at."""
        await self._bodies.forget(receive)
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
            model=model,
        )

    async def refused(
        self, refusal: GatewayError, receive: Receive, path: str, id: str
    ) -> InferenceRequest:
        """The body is read, and forgotten: one who is cut off in sending sees no answer."""
        await self._bodies.forget(receive)
        return unread(path, id, self._clock.now(), refusal)

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
