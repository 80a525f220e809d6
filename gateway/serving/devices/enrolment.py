"""How a device gets a token of its own, and loses it again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from gateway.core.devices.member import Privacy
from gateway.core.ports import StateStore
from gateway.core.state.operations import Advance, Forget, Held, Release
from gateway.errors import UnknownDevice
from gateway.serving.devices.enrolment_attempts import EnrolmentAttempts
from gateway.serving.devices.enrolment_records import (
    ENROLLED,
    ENROLMENTS,
    TOKENS,
    DeviceRecord,
    EnrolmentRecord,
    decode,
    encode,
)
from gateway.serving.devices.exchange import Exchange
from gateway.serving.devices.names import not_in_settings, taken
from gateway.serving.devices.replicas.messages import DEVICES, TokenRevoked
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.tokens import DeviceTokens, digest

ONE_TIME = "tfe_"


class Enrolments:
    """All raise StateLost. `unix_time` in seconds; tokens are 32 random bytes."""

    def __init__(
        self,
        *,
        store: StateStore,
        tokens: DeviceTokens,
        replica_outbox: ReplicaOutbox,
        attempts: EnrolmentAttempts,
        unix_time: Callable[[], float],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._replica_outbox = replica_outbox
        self.exchange = Exchange(
            store=store,
            tokens=tokens,
            replica_outbox=replica_outbox,
            attempts=attempts,
            unix_time=unix_time,
        )

    async def mint(self, name: str, owner: str, privacy: frozenset[Privacy], ttl_s: float) -> str:
        """A token that enrols one device, once. Raises Conflict for a name that is taken."""
        if name:
            not_in_settings(name, self._tokens)
            if name in await self.known():
                raise taken(name)
        token = ONE_TIME + secrets.token_urlsafe(32)
        record = encode(EnrolmentRecord(name, owner, privacy))
        await self._store.run(
            Advance(kind=ENROLMENTS, name=digest(token), expected=0, value=record, ttl_s=ttl_s)
        )
        return token

    async def known(self) -> Mapping[str, DeviceRecord]:
        (held,) = await self._store.run(Held(ENROLLED))
        records = (decode(DeviceRecord, value) for value in held.values())
        return {record.device: record for record in records if record is not None}

    async def revoke(self, device: str) -> None:
        """From now on its token opens nothing, and every replica closes its connection. Raises
        UnknownDevice, and Conflict for a device that has its token from the settings alone."""
        if (record := (await self.known()).get(device)) is None:
            not_in_settings(device, self._tokens)
            raise UnknownDevice(f"there is no enrolled device {device!r}", code="unknown_device")
        # The name last: who holds it anew meanwhile finds then that the token is gone.
        await self._store.run(Forget(TOKENS, record.digest), Forget(ENROLMENTS, record.enrolment))
        await self._store.run(Release(ENROLLED, device, record.enrolment))
        self._tokens.forget(device)
        self._replica_outbox.put(DEVICES, TokenRevoked(device, record.digest))
