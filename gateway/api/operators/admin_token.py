"""Who may administer: whoever shows the admin token."""

from __future__ import annotations

import hmac
from collections.abc import Callable

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.api.requests.request_headers import peer_address
from gateway.core.access.key import token_digest
from gateway.errors import Denied, Unauthenticated

log = structlog.get_logger("tierflow.api")
_bearer = HTTPBearer(
    auto_error=False, scheme_name="AdminToken", description="the operators' token (admin.token)"
)
_credentials = Depends(_bearer)


def _client_address(request: Request) -> str:
    return peer_address(request.scope)


_address = Depends(_client_address)


def _nobody() -> bool:
    return False


class AdminGate:
    """The gate before the operators' routes, a dependency of theirs. `digest`: the admin token's
    SHA-256 in hex; None: nobody may. While `open` says so everybody may, without a token."""

    def __init__(self, digest: str | None, open: Callable[[], bool] = _nobody) -> None:
        self._digest = digest
        self._open = open

    def __call__(
        self, shown: HTTPAuthorizationCredentials | None = _credentials, address: str = _address
    ) -> None:
        """Raises Denied where nobody may, and Unauthenticated. Compares in constant time."""
        if self._open():
            return
        if self._digest is None:
            raise Denied(
                "the admin API is off; set admin.token in the gateway's settings "
                "(TIERFLOW_GATEWAY_ADMIN__TOKEN): 16 characters at least, or its SHA-256 in hex",
                code="admin_disabled",
            )
        if shown is None:
            raise Unauthenticated(
                "send `Authorization: Bearer <admin token>`", code="invalid_admin_token"
            )
        digest = token_digest(shown.credentials)
        if not hmac.compare_digest(digest.encode(), self._digest.encode()):
            log.warning("admin_refused", address=address)
            raise Unauthenticated(
                "this admin token is wrong; the right one is admin.token in the gateway's "
                "settings, or what that is the SHA-256 of",
                code="invalid_admin_token",
            )
