"""Who is behind a bearer token: a device of the settings, or an enrolled one."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from typing import TypeVar

from gateway.core.devices.grant import Grant
from gateway.core.ports import Clock, StateStore
from gateway.core.state.operations import Read
from gateway.serving.devices.enrolment_records import TOKENS, DeviceRecord, decode

PREFIX = "tfd_"
"""Of enrolled devices' tokens: anything else costs no look into the store."""
REMEMBERED, REMEMBERED_S = 1024, 5.0
MAX_TOKEN = 4096


def digest(token: str) -> str:
    """SHA-256 in hex of the bytes that came, which headers are read from as Latin-1."""
    return hashlib.sha256(token.encode("latin-1", "replace")).hexdigest()


V = TypeVar("V")


class DeviceTokens:
    """`tokens` and `owners` are the settings': SHA-256 in hex, and owner, by the device's name."""

    def __init__(
        self,
        *,
        tokens: Mapping[str, str],
        owners: Mapping[str, str],
        store: StateStore,
        clock: Clock,
    ) -> None:
        self.names = frozenset(tokens)
        self.owners = owners
        self._tokens = {name: value.encode() for name, value in tokens.items()}
        self._store = store
        self._clock = clock
        self._callers: OrderedDict[str, tuple[float, Grant]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()

    async def find(self, authorization: str) -> Grant | None:
        """By an Authorization header. Looks into the store at most once, for enrolled devices.

        Raises StateLost. Compares with every token of the settings, in constant time: how long it
        takes tells nothing.
        """
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not 0 < len(token) <= MAX_TOKEN:
            return None
        hashed, found = digest(token), None
        for name, expected in self._tokens.items():
            if hmac.compare_digest(hashed.encode(), expected):
                found = name
        if found is not None:
            return Grant(device=found, owner=self.owners.get(found))
        if not token.startswith(PREFIX):
            return None
        ((_, value),) = await self._store.run(Read(TOKENS, hashed))
        record = decode(DeviceRecord, value)
        if record is None:
            return None
        return Grant(
            device=record.device, owner=record.owner, privacy=record.privacy, digest=hashed
        )

    async def callers_owner(self, authorization: str) -> tuple[str, str] | None:
        """The asking device and its proven owner ("": nobody's), for a request that carries a
        device's token; None for every other. Remembers enrolled and unknown ones for a few seconds,
        so that most requests cost no round trip. Raises StateLost."""
        now, remembered = self._clock.now(), self._callers.get(authorization)
        if now - self._unknown.get(authorization, float("-inf")) < REMEMBERED_S:
            return None
        if remembered is not None and now - remembered[0] < REMEMBERED_S:
            grant: Grant | None = remembered[1]
        else:
            grant = await self.find(authorization)
            if grant is None and PREFIX in authorization:
                _remember(self._unknown, authorization, now)
            elif grant is not None and grant.digest:
                _remember(self._callers, authorization, (now, grant))
        return None if grant is None else (grant.device, grant.owner or "")

    def forget(self, device: str) -> None:
        """It has been revoked."""
        for authorization, (_, grant) in list(self._callers.items()):
            if grant.device == device:
                del self._callers[authorization]


def _remember(known: OrderedDict[str, V], authorization: str, what: V) -> None:
    known[authorization] = what
    known.move_to_end(authorization)
    if len(known) > REMEMBERED:
        known.popitem(last=False)
