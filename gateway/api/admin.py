"""The devices' API: enrolment, and what operators see and do. See docs/devices.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request

from gateway.api.admin_token import AdminGate
from gateway.api.bodies import documented, read_body
from gateway.api.device_cards import cards
from gateway.errors import StateLost, UnknownDevice
from gateway.protocol.devices import (
    DeviceCard,
    DeviceList,
    DeviceRevoked,
    Enrolled,
    Enrolment,
    EnrolmentWish,
    EnrolRequest,
)
from gateway.protocol.openai import ErrorBody
from gateway.serving.members.enrolment import Enrolments
from gateway.serving.members.records import DeviceRecord
from gateway.serving.members.registry import MembersRegistry
from gateway.serving.members.tokens import DeviceTokens

MAX_PAGE = 200

log = structlog.get_logger("tierflow.api")


@dataclass(frozen=True, slots=True)
class DeviceDesk:
    """What the routes speak to."""

    enrolments: Enrolments
    members: MembersRegistry
    tokens: DeviceTokens

    async def cards(self) -> tuple[list[DeviceCard], StateLost | None]:
        """By name, and why they may not be all: enrolled devices that are not connected here are
        missing while the shared state is lost."""
        known: Mapping[str, DeviceRecord] = {}
        lost = None
        try:
            known = await self.enrolments.known()
        except StateLost as error:
            lost = error
        found = cards(self.tokens.names, self.tokens.owners, known, self.members.sightings())
        return found, lost


def devices_router(gate: AdminGate, desk: Callable[[], DeviceDesk]) -> APIRouter:
    """`desk` is asked at each call: it is there once the server has started."""
    router = APIRouter(tags=["devices"])
    operators: dict[str, Any] = {
        "dependencies": [Depends(gate)],
        "responses": _errors(401, 403, 404, 409, 503),
    }

    @router.post(
        "/v1/admin/enrolments",
        summary="Mint a token that enrols one device, once",
        status_code=201,
        openapi_extra=documented(EnrolmentWish),
        **operators,
    )
    async def mint(request: Request) -> Enrolment:
        wish = await read_body(request, EnrolmentWish)
        token = await desk().enrolments.mint(
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

    @router.post(
        "/v1/devices/enrol",
        summary="Exchange an enrolment token for a device's own token",
        status_code=201,
        openapi_extra=documented(EnrolRequest),
        responses=_errors(400, 403, 409, 429, 503),
    )
    async def enrol(request: Request) -> Enrolled:
        wish = await read_body(request, EnrolRequest)
        address = request.client.host if request.client else "unknown"
        record, token = await desk().enrolments.exchange(
            wish.enrolment_token, wish.name or "", address, wish.attempt or ""
        )
        log.info("device_enrolled", device=record.device, address=address)
        return Enrolled(
            device=record.device,
            device_token=token,
            owner=record.owner or None,
            privacy=sorted(record.privacy),
        )

    @router.get("/v1/devices", summary="All devices, by name, a page at a time", **operators)
    async def devices(
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        after: Annotated[str, Query(max_length=256)] = "",
    ) -> DeviceList:
        found, lost = await desk().cards()
        rest = [card for card in found if card.id > after]
        return DeviceList(data=rest[:limit], has_more=len(rest) > limit, partial=lost is not None)

    @router.get("/v1/devices/{id}", summary="One device", **operators)
    async def device(id: str) -> DeviceCard:
        found, lost = await desk().cards()
        for card in found:
            if card.id == id:
                return card
        if lost is not None:
            raise lost
        raise UnknownDevice(f"there is no device {id!r}", code="unknown_device")

    @router.delete(
        "/v1/devices/{id}",
        summary="Revoke an enrolled device's token, and close its connection",
        **operators,
    )
    async def revoke(id: str) -> DeviceRevoked:
        await desk().enrolments.revoke(id)
        log.info("device_revoked", device=id)
        return DeviceRevoked(id=id)

    return router


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorBody} for status in statuses}
