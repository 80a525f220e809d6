"""Enrolment: how a device gets a token of its own for a one-time token, and loses it again.

The store keeps four things (`enrolment_records`), of which each of the first three alone decides a
race:

    ENROLMENTS  SHA-256 of the one-time token -> who may enrol; once used, whom it has enrolled
    TOKENS      SHA-256 of a device's token   -> the device: this is what opens a connection
    ENROLLED    the device's name             -> a lease, held by the one-time token's SHA-256
    REVOKED     SHA-256 of a device's token   -> it was revoked, and not lost with the store

    device: POST /v1/devices/enrol {one-time token, attempt}
      1 Read ENROLMENTS       unknown or expired: 403. Used: only a repetition may go on, see below
      2 Hold ENROLLED         claims the name for CLAIM_S; somebody else has it: 409
      3 Advance TOKENS, then  the device's token, good from now on;
        Advance ENROLMENTS    uses the one-time token up: of several devices at once only one can
                              (compare and set), and it stays readable for REPEAT_S
      4 Hold ENROLLED         the name for KEPT_S; then Read TOKENS: revoked meanwhile?
      who loses in 3 or 4 removes its token and gives the name back, then gets 403

A device whose answer was lost repeats the exchange within REPEAT_S. It proves by `attempt`, which
it drew and nobody else knows, that it is the same device; and it must not have connected yet. It
gets another token, which replaces the first. Revoking removes the token first and the name last, so
that whoever reads the token after it holds the name finds it gone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from gateway.core.access.key import token_digest
from gateway.core.ports import StateStore
from gateway.core.privacy import Privacy
from gateway.core.state.operations import Advance, Forget, Held, Hold, Read, Release
from gateway.errors import Conflict, Denied, InvalidRequest, StateLost, UnknownDevice
from gateway.serving.devices.enrolment_records import (
    ENROLLED,
    ENROLMENTS,
    KEPT_S,
    REVOKED,
    TOKENS,
    DeviceRecord,
    EnrolmentRecord,
    decode,
    encode,
)
from gateway.serving.devices.replicas.messages import DEVICES, TokenRevoked
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.token_attempts import TokenAttempts
from gateway.serving.devices.tokens import PREFIX, DeviceTokens

ONE_TIME = "tfe_"
CLAIM_S = 60.0
"""For a name, until its device is enrolled."""
REPEAT_S = 60.0
"""In which an exchange may be repeated whose answer did not arrive."""
UNKNOWN = "enrolment_token: unknown, used or expired; ask the operator for a new one"


class Enrolments:
    """The enrolled devices: an operator mints one-time tokens, devices exchange them, once.

    All methods raise StateLost. `unix_time` in seconds; tokens are 32 random bytes. Names are
    unique over the devices of the settings and those that are enrolled.
    """

    def __init__(
        self,
        *,
        store: StateStore,
        tokens: DeviceTokens,
        replica_outbox: ReplicaOutbox,
        attempts: TokenAttempts,
        unix_time: Callable[[], float],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._replica_outbox = replica_outbox
        self._attempts = attempts
        self._unix_time = unix_time

    async def mint(self, name: str, owner: str, privacy: frozenset[Privacy], ttl_s: float) -> str:
        """A token that enrols one device, once. Raises Conflict for a name that is taken."""
        if name:
            self._check_not_in_settings(name)
            if name in await self.enrolled():
                raise _name_taken(name)
        token = ONE_TIME + secrets.token_urlsafe(32)
        record = encode(EnrolmentRecord(name=name, owner=owner, privacy=privacy))
        await self._store.run(
            Advance(
                kind=ENROLMENTS, name=token_digest(token), expected=0, value=record, ttl_s=ttl_s
            )
        )
        return token

    async def enrolled(self) -> Mapping[str, DeviceRecord]:
        """All enrolled devices, by name."""
        (held,) = await self._store.run(Held(ENROLLED))
        records = (decode(DeviceRecord, value) for value in held.values())
        return {record.device: record for record in records if record is not None}

    async def revoke(self, device: str) -> None:
        """From now on its token opens nothing, and every replica closes its connection. Raises
        UnknownDevice, and Conflict for a device that has its token from the settings alone."""
        if (record := (await self.enrolled()).get(device)) is None:
            self._check_not_in_settings(device)
            raise UnknownDevice(f"there is no enrolled device {device!r}", code="unknown_device")
        # First: whoever finds the token gone must find the reason.
        await self._store.run(
            Advance(
                kind=REVOKED, name=record.digest, expected=0, value=device.encode(), ttl_s=KEPT_S
            )
        )
        await self._store.run(Forget(TOKENS, record.digest), Forget(ENROLMENTS, record.enrolment))
        await self._store.run(Release(ENROLLED, device, record.enrolment))
        self._announce_revoked(record)

    async def exchange(
        self, token: str, name: str, address: str, attempt: str = ""
    ) -> tuple[DeviceRecord, str]:
        """The device that the one-time token enrols, and its own token, which nobody else sees.

        Raises Denied, Conflict, InvalidRequest, StateLost, and TooManyAttempts for a wrong token
        where `address` has been wrong too often. Behind a proxy all devices share one address, so a
        good token is accepted all the while.
        """
        one_time = token_digest(token)
        ((number, value),) = await self._store.run(Read(ENROLMENTS, one_time))
        enrolment = decode(EnrolmentRecord, value)
        if enrolment is None or not await self._may_use(enrolment, name, attempt):
            raise await self._wrong(address)
        used = enrolment.used
        own = PREFIX + secrets.token_urlsafe(32)
        record = DeviceRecord(
            device=used.device if used else self._name(enrolment, name),
            owner=enrolment.owner,
            privacy=enrolment.privacy,
            digest=token_digest(own),
            enrolment=one_time,
            enrolled_at=int(self._unix_time()),
        )
        # A repetition must not cut the time for which the name is held.
        claim = _hold_name(used, KEPT_S) if used else _hold_name(record, CLAIM_S)
        (claimed,) = await self._store.run(claim)
        if not claimed:
            raise _name_taken(record.device)
        enrolment = replace(enrolment, attempt=token_digest(attempt) if attempt else "")
        if not (await self._use_up(number, enrolment, record) and await self._keep(record)):
            await self._undo(record)
            raise await self._wrong(address)
        return record, own

    async def _may_use(self, enrolment: EnrolmentRecord, name: str, attempt: str) -> bool:
        """Not used yet, or used by the same device, which has not connected with its token yet."""
        if enrolment.used is None:
            return True
        if not attempt or token_digest(attempt) != enrolment.attempt:
            return False
        if name not in ("", enrolment.used.device):
            return False
        ((renewed, _),) = await self._store.run(Read(TOKENS, enrolment.used.digest))
        return bool(renewed <= 1)

    async def _use_up(self, number: int, enrolment: EnrolmentRecord, record: DeviceRecord) -> bool:
        """From now on the token of `record` is good, and one that it replaces is not. False where
        another exchange of the same one-time token was first."""
        used = encode(replace(enrolment, used=record))
        replaced = enrolment.used
        _, first, *_ = await self._store.run(
            Advance(
                kind=TOKENS, name=record.digest, expected=0, value=encode(record), ttl_s=KEPT_S
            ),
            Advance(
                kind=ENROLMENTS, name=record.enrolment, expected=number, value=used, ttl_s=REPEAT_S
            ),
            *([Forget(TOKENS, replaced.digest)] if replaced else []),
        )
        if replaced and first:
            self._announce_revoked(replaced)
        return bool(first)

    async def _keep(self, record: DeviceRecord) -> bool:
        """Hold the name for as long as the token. False where the token was revoked or replaced
        meanwhile. A name that could not be held is held anew when the device connects."""
        try:
            await self._store.run(_hold_name(record, KEPT_S))
            ((_, still),) = await self._store.run(Read(TOKENS, record.digest))
        except StateLost:
            return True
        return still is not None

    async def _undo(self, record: DeviceRecord) -> None:
        """Another use of the same one-time token counts. Where it has the same name, the name is
        left to it."""
        _, (_, value) = await self._store.run(
            Forget(TOKENS, record.digest), Read(ENROLMENTS, record.enrolment)
        )
        enrolment = decode(EnrolmentRecord, value)
        used = enrolment.used if enrolment is not None else None
        if used is not None and used.device == record.device:
            await self._store.run(_hold_name(used, KEPT_S))
        else:
            await self._store.run(Release(ENROLLED, record.device, record.enrolment))

    def _announce_revoked(self, record: DeviceRecord) -> None:
        self._tokens.forget(record.device)
        self._replica_outbox.put(DEVICES, TokenRevoked(record.device, record.digest))

    def _name(self, enrolment: EnrolmentRecord, offered: str) -> str:
        if enrolment.name and offered not in ("", enrolment.name):
            raise InvalidRequest(
                "name: the operator chose another one for this token; leave it out",
                param="name",
                code="invalid_name",
            )
        name = enrolment.name or offered or f"device-{secrets.token_hex(4)}"
        self._check_not_in_settings(name)
        return name

    async def _wrong(self, address: str) -> Denied:
        """The error for a wrong token. Raises TooManyAttempts where there were too many."""
        await self._attempts.count_wrong(address)
        return Denied(UNKNOWN, param="enrolment_token", code="invalid_enrolment_token")

    def _check_not_in_settings(self, name: str) -> None:
        """Raises Conflict for the name of a device of the settings."""
        if name in self._tokens.names:
            raise Conflict(
                f"name: {name} is listed in the gateway's settings under devices.tokens; change "
                "it there",
                param="name",
                code="name_in_settings",
            )


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"name: {name} is enrolled already; choose another, or revoke it first",
        param="name",
        code="name_taken",
    )


def _hold_name(record: DeviceRecord, ttl_s: float) -> Hold:
    return Hold(
        kind=ENROLLED,
        name=record.device,
        holder=record.enrolment,
        value=encode(record),
        ttl_s=ttl_s,
    )
