"""Looks after the enrolled tokens of connected devices: used ones stay, revoked ones go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.core.ports import Clock, StateStore
from gateway.core.state.operations import Advance, Hold, Read, Release
from gateway.errors import StateLost
from gateway.serving.devices.enrolment_records import ENROLLED, KEPT_S, TOKENS, DeviceRecord, decode
from gateway.serving.devices.replicas.slices import slices
from gateway.serving.devices.tokens import DeviceTokens

PERIOD_S = 5.0
RENEW_S = 86_400.0


class Connected(Protocol):
    def enrolled(self) -> Mapping[str, str]: ...

    def revoked(self, device: str, digest: str) -> None: ...


class TokenWatch:
    """A revocation is announced to every replica; this finds one whose announcement was lost."""

    def __init__(
        self,
        *,
        devices: Connected,
        tokens: DeviceTokens,
        store: StateStore,
        clock: Clock,
    ) -> None:
        self._devices = devices
        self._tokens = tokens
        self._store = store
        self._clock = clock
        self._renewed: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            try:
                await self.turn()
            except StateLost:
                pass
            await asyncio.sleep(PERIOD_S)

    async def turn(self) -> None:
        """Raises StateLost."""
        used = self._devices.enrolled()
        self._renewed = {d: at for d, at in self._renewed.items() if d in used.values()}
        for some in slices(list(used.items())):
            await self._look(some)

    async def _look(self, used: Sequence[tuple[str, str]]) -> None:
        """One round trip, and three more for each device that has just connected."""
        records = await self._store.run(*(Read(TOKENS, digest) for _, digest in used))
        for (device, digest), (number, value) in zip(used, records, strict=True):
            if (record := decode(DeviceRecord, value)) is None:
                self.revoked(device, digest)
            elif self._clock.now() - self._renewed.get(digest, float("-inf")) >= RENEW_S:
                await self._renew(record, number, value)

    def revoked(self, device: str, digest: str) -> None:
        self._tokens.forget(device)
        self._devices.revoked(device, digest)

    async def _renew(self, record: DeviceRecord, number: int, value: bytes) -> None:
        """It is used: keep it for as long again. One that is revoked meanwhile stays so, and
        its name is free: the token goes before the name does, so a look after the name is held
        finds it gone."""
        (kept,) = await self._store.run(
            Advance(kind=TOKENS, name=record.digest, expected=number, value=value, ttl_s=KEPT_S)
        )
        if not kept:
            return
        await self._store.run(
            Hold(
                kind=ENROLLED,
                name=record.device,
                holder=record.enrolment,
                value=value,
                ttl_s=KEPT_S,
            )
        )
        ((_, still),) = await self._store.run(Read(TOKENS, record.digest))
        if still is None:
            await self._store.run(Release(ENROLLED, record.device, record.enrolment))
        self._renewed[record.digest] = self._clock.now()
