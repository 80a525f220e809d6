"""A one-time token is exchanged for a device's own: once, whatever is lost on the way."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from msgspec.structs import replace

from gateway.core.ports import StateStore
from gateway.core.state.operations import Advance, Forget, Hold, Read, Release
from gateway.errors import Denied, InvalidRequest, StateLost
from gateway.serving.devices.enrolment_attempts import EnrolmentAttempts
from gateway.serving.devices.enrolment_records import (
    ENROLLED,
    ENROLMENTS,
    KEPT_S,
    TOKENS,
    DeviceRecord,
    EnrolmentRecord,
    decode,
    encode,
)
from gateway.serving.devices.names import not_in_settings, taken
from gateway.serving.devices.replicas.messages import DEVICES, TokenRevoked
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.tokens import PREFIX, DeviceTokens, digest

CLAIM_S = 60.0
"""For a name, until its device is enrolled."""
REPEAT_S = 60.0
"""In which an exchange may be repeated whose answer did not arrive."""
UNKNOWN = "enrolment_token: unknown, used or expired; ask the operator for a new one"


class Exchange:
    """`unix_time` in seconds."""

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
        self._attempts = attempts
        self._unix_time = unix_time

    async def __call__(
        self, token: str, name: str, address: str, attempt: str = ""
    ) -> tuple[DeviceRecord, str]:
        """The device that is enrolled by it, and its own token, which nobody else ever sees.

        The name is claimed first and the one-time token used up last, which one alone can do: who
        loses the race gives back what it took. One whose answer was lost on the way may ask again
        for `REPEAT_S`, and gets another token in place of the first: it shows itself by `attempt`,
        which it drew and nobody else knows.

        Raises Denied, Conflict, InvalidRequest, StateLost, and TooManyAttempts for a wrong token
        where `address` has guessed too often: behind a proxy the address is everybody's, and a good
        token is no guess.
        """
        one_time = digest(token)
        ((number, value),) = await self._store.run(Read(ENROLMENTS, one_time))
        wish = decode(EnrolmentRecord, value)
        if wish is None or not await self._may_use(wish, name, attempt):
            raise await self._wrong(address)
        device = wish.used.device if wish.used else self._name(wish, name)
        own = PREFIX + secrets.token_urlsafe(32)
        at = int(self._unix_time())
        record = DeviceRecord(device, wish.owner, wish.privacy, digest(own), one_time, at)
        claim = _named(wish.used, KEPT_S) if wish.used else _named(record, CLAIM_S)
        (claimed,) = await self._store.run(claim)
        if not claimed:
            raise taken(device)
        wish = replace(wish, attempt=digest(attempt) if attempt else "")
        if not await self._use_up(number, wish, record):
            await self._give_way(record)
            raise await self._wrong(address)
        if not await self._keep(record):
            await self._give_way(record)
            raise await self._wrong(address)
        return record, own

    async def _may_use(self, wish: EnrolmentRecord, name: str, attempt: str) -> bool:
        """Not used yet, or by the same device, which has not connected with what it got."""
        if wish.used is None:
            return True
        if not attempt or digest(attempt) != wish.attempt:
            return False
        if name not in ("", wish.used.device):
            return False
        ((renewed, _),) = await self._store.run(Read(TOKENS, wish.used.digest))
        return bool(renewed <= 1)

    async def _use_up(self, number: int, wish: EnrolmentRecord, record: DeviceRecord) -> bool:
        """From now on its token is good, and one that it replaces is not. False: another was
        first."""
        used = encode(replace(wish, used=record))
        replaced = wish.used and Forget(TOKENS, wish.used.digest)
        _, first, *_ = await self._store.run(
            Advance(
                kind=TOKENS, name=record.digest, expected=0, value=encode(record), ttl_s=KEPT_S
            ),
            Advance(
                kind=ENROLMENTS, name=record.enrolment, expected=number, value=used, ttl_s=REPEAT_S
            ),
            *([replaced] if replaced else []),
        )
        if wish.used and first:
            self._tokens.forget(record.device)
            self._replica_outbox.put(DEVICES, TokenRevoked(record.device, wish.used.digest))
        return bool(first)

    async def _keep(self, record: DeviceRecord) -> bool:
        """Its name, for as long as its token. False where that was revoked or replaced meanwhile;
        a name that could not be held is held anew when the device connects."""
        try:
            await self._store.run(_named(record, KEPT_S))
            ((_, still),) = await self._store.run(Read(TOKENS, record.digest))
        except StateLost:
            return True
        return still is not None

    async def _give_way(self, record: DeviceRecord) -> None:
        """Another use of the same one-time token counts: it may have the same name."""
        _, (_, value) = await self._store.run(
            Forget(TOKENS, record.digest), Read(ENROLMENTS, record.enrolment)
        )
        wish = decode(EnrolmentRecord, value)
        if wish is not None and wish.used is not None and wish.used.device == record.device:
            await self._store.run(_named(wish.used, KEPT_S))
        else:
            await self._store.run(Release(ENROLLED, record.device, record.enrolment))

    def _name(self, wish: EnrolmentRecord, given: str) -> str:
        if wish.name and given not in ("", wish.name):
            raise InvalidRequest(
                "name: the operator chose another one for this token; leave it out",
                param="name",
                code="invalid_name",
            )
        name = wish.name or given or f"device-{secrets.token_hex(4)}"
        not_in_settings(name, self._tokens)
        return name

    async def _wrong(self, address: str) -> Denied:
        self._attempts.check(address)
        await self._attempts.wrong(address)
        return Denied(UNKNOWN, param="enrolment_token", code="invalid_enrolment_token")


def _named(record: DeviceRecord, ttl_s: float) -> Hold:
    return Hold(
        kind=ENROLLED,
        name=record.device,
        holder=record.enrolment,
        value=encode(record),
        ttl_s=ttl_s,
    )
