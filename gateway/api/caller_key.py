"""The gate for callers at the routes that FastAPI serves; the fast path has its own."""

from __future__ import annotations

from fastapi import Depends, Request, Response
from fastapi.security import HTTPBearer

from gateway.api.requests.request_headers import check_names, peer_address, read_headers
from gateway.core.access.key import Identity
from gateway.protocol.headers import AUTHORIZATION
from gateway.serving.access.access import Access

RATE_HEADERS = "rate_headers"
"""In a request's state, for an answer that is an error."""
KEY_SCHEME = "CallerKey"
"""The name of callers' keys in the OpenAPI description."""
_documented = Depends(
    HTTPBearer(
        auto_error=False,
        scheme_name=KEY_SCHEME,
        description="a caller's key; a gateway without keys (`keys.required`) asks for none",
    )
)


class CallerGate:
    """The gate before callers' routes, a dependency of theirs that gives who calls."""

    def __init__(self, access: Access) -> None:
        self.access = access

    async def __call__(
        self, request: Request, response: Response, _: object = _documented
    ) -> Identity:
        """Raises InvalidKey, StateLost, and InvalidRequest for a header that there is not."""
        read = read_headers(request.scope["headers"])
        identity = await self.access.identify(
            read.get(AUTHORIZATION, ""),
            peer_address(request.scope),
            request.scope["headers"],
        )
        headers = {k.decode(): v.decode() for k, v in self.access.headers(identity)}
        setattr(request.state, RATE_HEADERS, headers)
        response.headers.update(headers)
        check_names(read)
        return identity
