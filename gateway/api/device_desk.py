"""What the devices' API speaks to, and the handlers of its routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Query, Request

from gateway.api.device_cards import cards
from gateway.api.json_body import read_body
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
from gateway.serving.devices.enrolment import Enrolments
from gateway.serving.devices.enrolment_records import DeviceRecord
from gateway.serving.devices.registry import MembersRegistry
from gateway.serving.devices.tokens import DeviceTokens

MAX_PAGE = 200

log = structlog.get_logger("tierflow.api")


@dataclass(frozen=True, slots=True)
class DeviceAdmin:
    """What the handlers speak to."""

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


class DeviceHandlers:
    """Raise GatewayError. `admin` is called each time: it exists once the server has started."""

    def __init__(self, admin: Callable[[], DeviceAdmin]) -> None:
        self._admin = admin

    async def mint(self, request: Request) -> Enrolment:
        wish = await read_body(request, EnrolmentWish)
        token = await self._admin().enrolments.mint(
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
        address = request.client.host if request.client else "unknown"
        record, token = await self._admin().enrolments.exchange(
            wish.enrolment_token, wish.name or "", address, wish.attempt or ""
        )
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
        found, lost = await self._admin().cards()
        rest = [card for card in found if card.id > after]
        return DeviceList(data=rest[:limit], has_more=len(rest) > limit, partial=lost is not None)

    async def device(self, id: str) -> DeviceCard:
        found, lost = await self._admin().cards()
        for card in found:
            if card.id == id:
                return card
        if lost is not None:
            raise lost
        raise UnknownDevice(f"there is no device {id!r}", code="unknown_device")

    async def revoke(self, id: str) -> DeviceRevoked:
        await self._admin().enrolments.revoke(id)
        log.info("device_revoked", device=id)
        return DeviceRevoked(id=id)
