"""The API for callers' keys, for operators alone. See docs/keys.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request

from gateway.api.description.responses import OF_BODIES, OF_OPERATORS, OF_STATE, error_responses
from gateway.api.json_body import documented, read_body
from gateway.api.operators.admin_token import AdminGate
from gateway.core.access.key import ApiKey, Quotas, Scope
from gateway.protocol.keys import (
    KeyCard,
    KeyList,
    KeyMade,
    KeyRevoked,
    KeyTerms,
    KeyWish,
    RotationWish,
)
from gateway.serving.access.key_admin import KeyAdmin

MAX_PAGE = 200
PATH = "/v1/admin/keys"

log = structlog.get_logger("tierflow.api")


class KeyHandlers:
    """The handlers of the routes. All raise GatewayError."""

    def __init__(self, admin: KeyAdmin) -> None:
        self._admin = admin

    async def make(self, request: Request) -> KeyMade:
        wish = await read_body(request, KeyWish)
        key, secret = await self._admin.make(
            wish.name, _scope(wish), _quotas(wish), wish.expires_in_s
        )
        log.info("key_made", key=key.name)
        return KeyMade(key=secret, card=self._card(key))

    async def keys(
        self,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        after: Annotated[str, Query(max_length=64)] = "",
    ) -> KeyList:
        later = [key for name, key in self._admin.keys().items() if name > after]
        return KeyList(data=[self._card(key) for key in later[:limit]], has_more=len(later) > limit)

    async def key(self, name: str) -> KeyCard:
        return self._card(self._admin.show(name))

    async def rotate(self, name: str, request: Request) -> KeyMade:
        wish = await read_body(request, RotationWish)
        key, secret = await self._admin.rotate(name, wish.grace_s)
        log.info("key_rotated", key=name, grace_s=wish.grace_s)
        return KeyMade(key=secret, card=self._card(key))

    async def revoke(self, name: str) -> KeyRevoked:
        await self._admin.revoke(name)
        log.info("key_revoked", key=name)
        return KeyRevoked(name=name)

    def _card(self, key: ApiKey) -> KeyCard:
        fixed = self._admin.in_settings(key.name)
        return KeyCard(
            name=key.name,
            source="settings" if fixed else "operator",
            created=None if fixed else int(key.created),
            expires=None if key.expires is None else int(key.expires),
            previous_until=int(key.previous_until) if key.previous else None,
            models=_sorted(key.scope.models),
            tiers=_sorted(key.scope.tiers),
            ways=_sorted(key.scope.ways),
            privacy=_sorted(key.scope.privacy),
            **asdict(key.quotas),
        )


def keys_router(gate: AdminGate, admin: KeyAdmin) -> APIRouter:
    router, handlers = APIRouter(tags=["keys"]), KeyHandlers(admin)

    def operators(*codes: str) -> dict[str, Any]:
        responses = error_responses(*OF_OPERATORS, *codes)
        return {"dependencies": [Depends(gate)], "responses": responses}

    changes = ("keys_not_kept", "keys_changed", *OF_STATE)
    existing = ("unknown_key", "key_in_settings", *changes)
    router.post(
        PATH,
        summary="Make a caller's key, which is shown once",
        status_code=201,
        openapi_extra=documented(KeyWish),
        **operators(*OF_BODIES, "key_exists", *changes),
    )(handlers.make)
    router.get(PATH, summary="All keys, by name, a page at a time", **operators("invalid_value"))(
        handlers.keys
    )
    router.get(PATH + "/{name}", summary="One key", **operators("unknown_key"))(handlers.key)
    router.post(
        PATH + "/{name}/rotation",
        summary="Give a key another secret, which is shown once",
        status_code=201,
        openapi_extra=documented(RotationWish),
        **operators(*OF_BODIES, *existing),
    )(handlers.rotate)
    router.delete(PATH + "/{name}", summary="Revoke a key", **operators(*existing))(handlers.revoke)
    return router


def _scope(terms: KeyTerms) -> Scope:
    return Scope.of(models=terms.models, tiers=terms.tiers, ways=terms.ways, privacy=terms.privacy)


def _quotas(terms: KeyTerms) -> Quotas:
    return Quotas(
        requests_per_min=terms.requests_per_min,
        tokens_per_min=terms.tokens_per_min,
        tokens_per_day=terms.tokens_per_day,
        in_flight=terms.in_flight,
        fan_out=terms.fan_out,
    )


def _sorted(values: Iterable[Any] | None) -> list[Any] | None:
    return None if values is None else sorted(values)
