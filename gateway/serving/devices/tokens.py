"""Bearer tokens of devices: whose a token is, and the watch over enrolled tokens in use."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from gateway.core.access.key import bearer_token, token_digest
from gateway.core.bounded_dict import BoundedDict
from gateway.core.devices.grant import Grant
from gateway.core.ports import Clock, StateStore
from gateway.core.state.bounds import slices
from gateway.core.state.operations import Advance, Hold, Read, Release
from gateway.errors import StateLost, Unauthenticated
from gateway.serving.devices.enrolment_records import (
    ENROLLED,
    KEPT_S,
    REVOKED,
    TOKENS,
    DeviceRecord,
    decode,
)
from gateway.serving.devices.token_attempts import TokenAttempts

log = structlog.get_logger("tierflow.devices")

PREFIX = "tfd_"
"""Of enrolled devices' tokens."""
_FORM = re.compile(PREFIX + "[A-Za-z0-9_-]{43}")
"""32 bytes in base64: the store is not asked about any other token."""
MAX_REMEMBERED, REMEMBERED_S = 1024, 5.0
"""Callers whose token was looked up, and for how long that answer is used again."""
MAX_FOUND = 16_384
"""Enrolled tokens that were good here, which a bar on their address does not keep out."""
WATCH_PERIOD_S = 5.0
RENEW_S = 86_400.0
UNKNOWN = (
    "the gateway does not know this device's token: it was made up, or lost with the gateway's "
    "shared state; enrol the device again"
)
REVOKED_TOKEN = "this device's token has been revoked; enrol the device again if it may come back"


class DeviceTokens:
    """The devices' bearer tokens: each is that of a device of the settings, of an enrolled one, or
    nobody's.

    `tokens` and `owners` are the settings': SHA-256 in hex, and owner, by the device's name.
    """

    def __init__(
        self,
        *,
        tokens: Mapping[str, str],
        owners: Mapping[str, str],
        store: StateStore,
        clock: Clock,
        attempts: TokenAttempts,
    ) -> None:
        self.names = frozenset(tokens)
        self.owners = owners
        self._tokens = {name: value.encode() for name, value in tokens.items()}
        self._store = store
        self._clock = clock
        self._attempts = attempts
        self._found = BoundedDict[str, None](MAX_FOUND)
        self._callers = BoundedDict[str, tuple[float, Grant]](MAX_REMEMBERED)
        self._unknown = BoundedDict[str, float](MAX_REMEMBERED)

    async def find(self, authorization: str, address: str = "") -> Grant | None:
        """The grant of an Authorization header; None for a token that is nobody's.

        Looks into the store once, and only for enrolled devices; a wrong token is counted there.
        Raises StateLost, and TooManyAttempts where `address` has sent too many wrong ones: then
        only tokens of the settings and those that were good here before are looked at. "": nobody
        counts.
        """
        if not (token := bearer_token(authorization)):
            return None
        hashed = token_digest(token)
        if (name := self._name_in_settings(hashed)) is not None:
            return Grant(device=name, owner=self.owners.get(name))
        if not _FORM.fullmatch(token):
            return None
        if address and hashed not in self._found:
            self._attempts.check(address)
        ((_, value),) = await self._store.run(Read(TOKENS, hashed))
        record = decode(DeviceRecord, value)
        if record is None:
            self._found.pop(hashed, None)
            if address:
                await self._attempts.count_wrong(address)
            return None
        self._found[hashed] = None
        return Grant(
            device=record.device, owner=record.owner, privacy=record.privacy, digest=hashed
        )

    async def refusal(self, authorization: str) -> Unauthenticated:
        """Why a header that `find` knows no grant for opens nothing. Raises StateLost."""
        token = bearer_token(authorization)
        if not token:
            return Unauthenticated(
                "connect with `Authorization: Bearer <device token>`; the gateway's settings list "
                "devices under devices.tokens, others must be enrolled",
                code="invalid_device_token",
            )
        if not token.startswith(PREFIX):
            return Unauthenticated(
                "this token is no device's: list its SHA-256 under devices.tokens in the gateway's "
                "settings, or enrol the device",
                code="invalid_device_token",
            )
        if not _FORM.fullmatch(token):
            return Unauthenticated(UNKNOWN, code="unknown_device_token")
        ((_, revoked),) = await self._store.run(Read(REVOKED, token_digest(token)))
        if revoked is not None:
            return Unauthenticated(REVOKED_TOKEN, code="revoked_device_token")
        return Unauthenticated(UNKNOWN, code="unknown_device_token")

    async def device_of(self, authorization: str, address: str = "") -> Grant | None:
        """What the token of a request stands for, where it is a device's. Remembers enrolled and
        unknown ones for a few seconds, so that most requests cost no round trip. Raises StateLost
        and TooManyAttempts, as `find` does."""
        now, remembered = self._clock.now(), self._callers.get(authorization)
        if now - self._unknown.get(authorization, float("-inf")) < REMEMBERED_S:
            return None
        if remembered is not None and now - remembered[0] < REMEMBERED_S:
            return remembered[1]
        grant = await self.find(authorization, address)
        if grant is None and _FORM.fullmatch(bearer_token(authorization)):
            self._unknown[authorization] = now
        elif grant is not None and grant.digest:
            self._callers[authorization] = now, grant
        return grant

    def forget(self, device: str) -> None:
        """The device's token has been revoked: look it up again when it comes."""
        for authorization, (_, grant) in list(self._callers.items()):
            if grant.device == device:
                del self._callers[authorization]

    def _name_in_settings(self, hashed: str) -> str | None:
        """Compares with every token of the settings, in constant time: the time that it takes tells
        nothing about them."""
        match = None
        for name, expected in self._tokens.items():
            if hmac.compare_digest(hashed.encode(), expected):
                match = name
        return match


class EnrolledConnections(Protocol):
    """The connections that were opened with enrolled tokens; `DeviceConnections` has them.

    `enrolled_tokens` gives the token's SHA-256 by device. `end_enrolled` ends the device's
    connections that were opened with the token of this digest, with a code and words for it.
    """

    def enrolled_tokens(self) -> Mapping[str, str]: ...

    def end_enrolled(self, device: str, digest: str, code: str, message: str) -> None: ...


class TokenWatch:
    """The task that keeps enrolled tokens in use, and ends connections whose token is gone: it was
    revoked, or the store has lost it.

    Every replica is told of a revocation; the watch finds those whose message was lost. A token
    without a record and without a revocation is looked for twice, as a store that is handed over to
    a replica may be empty for a moment.
    """

    def __init__(
        self,
        *,
        devices: EnrolledConnections,
        tokens: DeviceTokens,
        store: StateStore,
        clock: Clock,
    ) -> None:
        self._devices = devices
        self._tokens = tokens
        self._store = store
        self._clock = clock
        self._renewed: dict[str, float] = {}
        self._missing: frozenset[str] = frozenset()

    async def run(self) -> None:
        """For ever, every WATCH_PERIOD_S."""
        while True:
            try:
                await self.turn()
            except StateLost:
                pass
            await asyncio.sleep(WATCH_PERIOD_S)

    async def turn(self) -> None:
        """Raises StateLost."""
        used = self._devices.enrolled_tokens()
        self._renewed = {d: at for d, at in self._renewed.items() if d in used.values()}
        missing: set[str] = set()
        for batch in slices(list(used.items())):
            missing |= await self._check(batch)
        self._missing = frozenset(missing)

    def revoked(self, device: str, digest: str) -> None:
        """The token is revoked: end the device's connection here."""
        self._tokens.forget(device)
        self._devices.end_enrolled(device, digest, "revoked", REVOKED_TOKEN)

    async def _check(self, used: Sequence[tuple[str, str]]) -> set[str]:
        """Gives the digests that are missing for the first time. One round trip, one more where
        tokens are gone, and three more for each device that has just connected."""
        records = await self._store.run(*(Read(TOKENS, digest) for _, digest in used))
        gone = []
        for (device, digest), (number, value) in zip(used, records, strict=True):
            if (record := decode(DeviceRecord, value)) is None:
                gone.append((device, digest))
            elif self._clock.now() - self._renewed.get(digest, float("-inf")) >= RENEW_S:
                await self._renew(record, number, value)
        return await self._end(gone) if gone else set()

    async def _end(self, gone: Sequence[tuple[str, str]]) -> set[str]:
        """Tell devices whose token the store does not have why; gives those that it has not had for
        the first time."""
        first = set()
        reasons = await self._store.run(*(Read(REVOKED, digest) for _, digest in gone))
        for (device, digest), (_, revoked) in zip(gone, reasons, strict=True):
            if revoked is not None:
                self.revoked(device, digest)
            elif digest not in self._missing:
                first.add(digest)
            else:
                log.warning("device_token_lost", device=device)
                self._tokens.forget(device)
                self._devices.end_enrolled(device, digest, "unknown_token", UNKNOWN)
        return first

    async def _renew(self, record: DeviceRecord, number: int, value: bytes) -> None:
        """Keep a token that is used for KEPT_S more, and its name with it.

        A token that is revoked meanwhile stays revoked, and its name is free: revoking removes the
        token before the name, so reading the token after the name is held finds it gone.
        """
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
