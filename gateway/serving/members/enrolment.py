"""How a device gets a token of its own, and loses it again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from gateway.core.devices.member import Privacy
from gateway.core.ports import StateStore
from gateway.core.state.operations import Advance, Forget, Held, Hold, Read, Release
from gateway.errors import Conflict, Denied, InvalidRequest, UnknownDevice
from gateway.serving.members.courier import Courier
from gateway.serving.members.guesses import Guesses
from gateway.serving.members.messages import DEVICES, Revoked
from gateway.serving.members.records import (
    ENROLLED,
    ENROLMENTS,
    KEPT_S,
    TOKENS,
    DeviceRecord,
    EnrolmentRecord,
    decode,
    encode,
)
from gateway.serving.members.tokens import PREFIX, DeviceTokens, digest

ONE_TIME = "tfe_"
CLAIM_S = 60.0
"""For a name, until its device is enrolled."""
UNKNOWN = "enrolment_token: unknown, used or expired; ask the operator for a new one"


class Enrolments:
    """All raise StateLost. `unix_time` in seconds; tokens are 32 random bytes."""

    def __init__(
        self,
        store: StateStore,
        tokens: DeviceTokens,
        courier: Courier,
        guesses: Guesses,
        unix_time: Callable[[], float],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._courier = courier
        self._guesses = guesses
        self._unix_time = unix_time

    async def mint(self, name: str, owner: str, privacy: frozenset[Privacy], ttl_s: float) -> str:
        """A token that enrols one device, once. Raises Conflict for a name that is taken."""
        if name:
            self._not_in_settings(name)
            if name in await self.known():
                raise _taken(name)
        token = ONE_TIME + secrets.token_urlsafe(32)
        record = encode(EnrolmentRecord(name, owner, privacy))
        await self._store.run(Advance(ENROLMENTS, digest(token), 0, record, ttl_s))
        return token

    async def exchange(self, token: str, name: str, address: str) -> tuple[DeviceRecord, str]:
        """The device that is enrolled by it, and its own token, which nobody else ever sees.

        The name is claimed first and the one-time token forgotten last, which one alone can do: who
        loses the race gives back what it took. Raises Denied, Conflict, InvalidRequest, and
        TooManyAttempts where `address` has guessed too often.
        """
        self._guesses.check(address)
        one_time = digest(token)
        ((_, value),) = await self._store.run(Read(ENROLMENTS, one_time))
        if (wish := decode(EnrolmentRecord, value)) is None:
            raise await self._wrong(address)
        device = self._name(wish, name)
        own = PREFIX + secrets.token_urlsafe(32)
        record = DeviceRecord(device, wish.owner, wish.privacy, digest(own), int(self._unix_time()))
        stored = encode(record)
        (claimed,) = await self._store.run(Hold(ENROLLED, device, record.digest, stored, CLAIM_S))
        if not claimed:
            raise _taken(device)
        _, first = await self._store.run(
            Advance(TOKENS, record.digest, 0, stored, KEPT_S), Forget(ENROLMENTS, one_time)
        )
        if not first:
            await self._store.run(*_undone(record))
            raise await self._wrong(address)
        await self._store.run(Hold(ENROLLED, device, record.digest, stored, KEPT_S))
        return record, own

    async def known(self) -> Mapping[str, DeviceRecord]:
        (held,) = await self._store.run(Held(ENROLLED))
        records = (decode(DeviceRecord, value) for value in held.values())
        return {record.device: record for record in records if record is not None}

    async def revoke(self, device: str) -> None:
        """From now on its token opens nothing, and every replica closes its connection. Raises
        UnknownDevice, and Conflict for a device of the settings."""
        self._not_in_settings(device)
        if (record := (await self.known()).get(device)) is None:
            raise UnknownDevice(f"there is no enrolled device {device!r}", code="unknown_device")
        await self._store.run(*_undone(record))
        self._tokens.forget(device)
        self._courier.put(DEVICES, Revoked(device, record.digest))

    def _name(self, wish: EnrolmentRecord, given: str) -> str:
        if wish.name and given not in ("", wish.name):
            raise InvalidRequest(
                "name: the operator chose another one for this token; leave it out",
                param="name",
                code="invalid_name",
            )
        name = wish.name or given or f"device-{secrets.token_hex(4)}"
        self._not_in_settings(name)
        return name

    def _not_in_settings(self, name: str) -> None:
        if name in self._tokens.names:
            raise Conflict(
                f"name: {name} is listed in the gateway's settings under devices.tokens; change "
                "it there",
                param="name",
                code="name_in_settings",
            )

    async def _wrong(self, address: str) -> Denied:
        await self._guesses.wrong(address)
        return Denied(UNKNOWN, param="enrolment_token", code="invalid_enrolment_token")


def _taken(name: str) -> Conflict:
    return Conflict(
        f"name: {name} is enrolled already; choose another, or revoke it first",
        param="name",
        code="name_taken",
    )


def _undone(record: DeviceRecord) -> tuple[Forget, Release]:
    return Forget(TOKENS, record.digest), Release(ENROLLED, record.device, record.digest)
