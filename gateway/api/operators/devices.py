"""The devices' API: enrolment, and what operators see and do. See docs/device-members.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request

from gateway.api.description.responses import (
    OF_BODIES,
    OF_OPERATORS,
    OF_STATE,
    error_responses,
)
from gateway.api.json_body import documented, read_body
from gateway.api.operators.admin_token import AdminGate
from gateway.api.operators.device_cards import device_cards
from gateway.api.requests.request_headers import peer_address
from gateway.errors import GatewayError, StateLost, UnknownDevice
from gateway.protocol.device_link.devices import (
    ENROL_PATH,
    DeviceCard,
    DeviceList,
    DeviceRevoked,
    Enrolled,
    Enrolment,
    EnrolmentWish,
    EnrolRequest,
)
from gateway.serving.devices.enrolment import Enrolments
from gateway.serving.devices.enrolment_records import DeviceRecord
from gateway.serving.devices.registry import MembersRegistry
from gateway.serving.devices.tokens import DeviceTokens

MAX_PAGE = 200

log = structlog.get_logger("tierflow.api")


@dataclass(frozen=True, slots=True)
class DeviceAdmin:
    """The devices as operators see and change them: enrolled ones, registered ones, all tokens."""

    enrolments: Enrolments
    members: MembersRegistry
    tokens: DeviceTokens

    async def cards(self) -> tuple[list[DeviceCard], StateLost | None]:
        """All devices by name, and the error for which some may be missing: enrolled devices that
        are not connected here can't be read while the shared state is lost."""
        enrolled: Mapping[str, DeviceRecord] = {}
        lost = None
        try:
            enrolled = await self.enrolments.enrolled()
        except StateLost as error:
            lost = error
        sightings = self.members.sightings()
        return device_cards(self.tokens.names, self.tokens.owners, enrolled, sightings), lost


class DeviceHandlers:
    """The handlers of the routes. All raise GatewayError."""

    def __init__(self, admin: DeviceAdmin) -> None:
        self._admin = admin

    async def mint(self, request: Request) -> Enrolment:
        wish = await read_body(request, EnrolmentWish)
        token = await self._admin.enrolments.mint(
            wish.name or "", wish.owner or "", frozenset(wish.privacy), wish.ttl_s
        )
        log.info("enrolment_minted", device=wish.name, owner=wish.owner, ttl_s=wish.ttl_s)
        return Enrolment(
            enrolment_token=token,
            name=wish.name,
            owner=wish.owner,
            privacy=sorted(set(wish.privacy)),
            expires_in_s=wish.ttl_s,
        )

    async def enrol(self, request: Request) -> Enrolled:
        wish = await read_body(request, EnrolRequest)
        address = peer_address(request.scope)
        try:
            record, token = await self._admin.enrolments.exchange(
                wish.enrolment_token, wish.name or "", address, wish.attempt or ""
            )
        except GatewayError as error:
            log.warning("enrolment_refused", code=error.code, address=address)
            raise
        log.info("device_enrolled", device=record.device, address=address)
        return Enrolled(
            device=record.device,
            device_token=token,
            owner=record.owner or None,
            privacy=sorted(record.privacy),
        )

    async def devices(
        self,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        after: Annotated[str, Query(max_length=256)] = "",
    ) -> DeviceList:
        cards, lost = await self._admin.cards()
        later = [card for card in cards if card.id > after]
        return DeviceList(data=later[:limit], has_more=len(later) > limit, partial=lost is not None)

    async def device(self, id: str) -> DeviceCard:
        cards, lost = await self._admin.cards()
        for card in cards:
            if card.id == id:
                return card
        if lost is not None:
            raise lost
        raise UnknownDevice(f"there is no device {id!r}", code="unknown_device")

    async def revoke(self, id: str) -> DeviceRevoked:
        await self._admin.enrolments.revoke(id)
        log.info("device_revoked", device=id)
        return DeviceRevoked(id=id)


def devices_router(gate: AdminGate, admin: DeviceAdmin) -> APIRouter:
    router, handlers = APIRouter(tags=["devices"]), DeviceHandlers(admin)

    def operators(*codes: str) -> dict[str, Any]:
        responses = error_responses(*OF_OPERATORS, *codes, *OF_STATE)
        return {"dependencies": [Depends(gate)], "responses": responses}

    router.post(
        "/v1/admin/enrolments",
        summary="Mint a token that enrols one device, once",
        status_code=201,
        openapi_extra=documented(EnrolmentWish),
        **operators(*OF_BODIES, "name_taken", "name_in_settings"),
    )(handlers.mint)
    router.post(
        ENROL_PATH,
        summary="Exchange an enrolment token for a device's own token",
        status_code=201,
        openapi_extra=documented(EnrolRequest),
        responses=error_responses(
            *OF_BODIES,
            "invalid_enrolment_token",
            "invalid_name",
            "name_taken",
            "name_in_settings",
            "too_many_attempts",
            *OF_STATE,
        ),
    )(handlers.enrol)
    router.get(
        "/v1/devices",
        summary="All devices, by name, a page at a time",
        **operators("invalid_value"),
    )(handlers.devices)
    router.get("/v1/devices/{id}", summary="One device", **operators("unknown_device"))(
        handlers.device
    )
    router.delete(
        "/v1/devices/{id}",
        summary="Revoke an enrolled device's token, and close its connection",
        **operators("unknown_device", "name_in_settings"),
    )(handlers.revoke)
    return router
