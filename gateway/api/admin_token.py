"""Who may administer: whoever shows the admin token."""

from __future__ import annotations

import hashlib
import hmac

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.errors import Denied, Unauthenticated

_bearer = HTTPBearer(auto_error=False, description="the admin token")
_credentials = Depends(_bearer)


class AdminGate:
    """The gate before the operators' routes, a dependency of theirs. `digest`: the admin token's
    SHA-256 in hex; None: nobody may."""

    def __init__(self, digest: str | None) -> None:
        self._digest = digest

    def __call__(self, shown: HTTPAuthorizationCredentials | None = _credentials) -> None:
        """Raises Denied where nobody may, and Unauthenticated. Compares in constant time."""
        if self._digest is None:
            raise Denied(
                "the admin API is off; set admin.token in the gateway's settings "
                "(TIERFLOW_GATEWAY_ADMIN__TOKEN): 16 characters at least, or its SHA-256 in hex",
                code="admin_disabled",
            )
        digest = hashlib.sha256((shown.credentials if shown else "").encode()).hexdigest()
        if not hmac.compare_digest(digest.encode(), self._digest.encode()):
            raise Unauthenticated(
                "send `Authorization: Bearer <admin token>`", code="invalid_admin_token"
            )
