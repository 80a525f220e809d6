"""What operators do with callers' keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

import structlog

from gateway.core.access.key import PREFIX, ApiKey, Quotas, Scope, token_digest
from gateway.core.access.stored_keys import MAX_KEYS, KeysProblem, StoredKeys, rotated
from gateway.errors import Conflict, StateLost, UnknownKey
from gateway.serving.access.key_store import KeyWatch
from gateway.serving.access.key_table import KeyTable

TRIES = 5

log = structlog.get_logger("tierflow.access")


class KeyAdmin:
    """The callers' keys as operators see and change them. `watch` None: nothing keeps keys, and
    there are only those of the settings. `unix_time` in seconds.

    A key is 256 random bits, and is given once: what is kept is its SHA-256. All methods that
    change something raise Conflict and StateLost.
    """

    def __init__(
        self, *, table: KeyTable, watch: KeyWatch | None, unix_time: Callable[[], float]
    ) -> None:
        self._table = table
        self._watch = watch
        self._unix_time = unix_time

    def keys(self) -> Mapping[str, ApiKey]:
        """All keys by name, as this replica knows them."""
        return dict(sorted(self._table.keys.items()))

    def in_settings(self, name: str) -> bool:
        return name in self._table.fixed

    def show(self, name: str) -> ApiKey:
        """Raises UnknownKey."""
        if (key := self._table.keys.get(name)) is None:
            raise _unknown(name)
        return key

    async def make(
        self, name: str, scope: Scope, quotas: Quotas, expires_in_s: float | None
    ) -> tuple[ApiKey, str]:
        """A new key, and the secret itself."""
        secret, now = _new_secret(), self._unix_time()
        made = ApiKey(
            name=name,
            digest=token_digest(secret),
            created=now,
            scope=scope,
            quotas=quotas,
            expires=None if expires_in_s is None else now + expires_in_s,
        )

        def change(stored: StoredKeys) -> StoredKeys:
            if name in self._table.fixed or stored.find(name) is not None:
                raise Conflict(
                    f"name: there is a key {name}; rotate it, revoke it first, or choose another "
                    "name",
                    param="name",
                    code="key_exists",
                )
            if len(stored.keys) >= MAX_KEYS:
                raise Conflict(f"there are {MAX_KEYS} keys, and may be no more", code="key_exists")
            return stored.put(made)

        await self._change(change)
        return made, secret

    async def rotate(self, name: str, grace_s: float) -> tuple[ApiKey, str]:
        """The key with another secret, and that; the one before is good for `grace_s` more. Raises
        UnknownKey."""
        secret, now = _new_secret(), self._unix_time()
        digest = token_digest(secret)

        def change(stored: StoredKeys) -> StoredKeys:
            return stored.put(rotated(self._stored(stored, name), digest, now, grace_s))

        stored = await self._change(change)
        return self._stored(stored, name), secret

    async def revoke(self, name: str) -> None:
        """The key is good no longer: here at once, at other replicas within a second or two. Raises
        UnknownKey."""

        def change(stored: StoredKeys) -> StoredKeys:
            self._stored(stored, name)
            return stored.remove(name)

        await self._change(change)

    def _stored(self, stored: StoredKeys, name: str) -> ApiKey:
        if name in self._table.fixed:
            raise Conflict(
                f"name: {name} is listed in the gateway's settings under keys.static; change it "
                "there",
                param="name",
                code="key_in_settings",
            )
        if (key := stored.find(name)) is None:
            raise _unknown(name)
        return key

    async def _change(self, change: Callable[[StoredKeys], StoredKeys]) -> StoredKeys:
        """What is stored, changed; where another operator is faster, what that one has left is."""
        if self._watch is None:
            raise Conflict(
                "this gateway keeps no keys but those of its settings: set keys.file, or "
                "state.redis, in the gateway's settings",
                code="keys_not_kept",
            )
        for _ in range(TRIES):
            try:
                stored, mark = await self._watch.store.read()
                changed = change(stored)
                written = await self._watch.store.write(changed, mark)
            except KeysProblem as problem:
                raise StateLost(str(problem), retry_after=5.0, code="state_lost") from problem
            if written:
                self._watch.adopt(changed)
                return changed
        raise Conflict("others change the keys at this moment; try again", code="keys_changed")


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _unknown(name: str) -> UnknownKey:
    return UnknownKey(f"there is no key {name!r}", code="unknown_key")
