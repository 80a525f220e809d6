"""Where operators' keys are kept, and the watch that brings them into each replica's memory."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec
import structlog

from gateway.core.access.stored_keys import KeysProblem, StoredKeys
from gateway.core.ports import Clock, StateStore
from gateway.core.state.operations import Advance, Read
from gateway.errors import StateLost
from gateway.protocol.device_link.decoding import UNREADABLE
from gateway.serving.access.key_table import KeyTable

KEYS, TABLE = "api-keys", "all"
KEPT_S = 366 * 86_400.0
RENEWED_S = 86_400.0
LOOK_EVERY_S = 1.0

log = structlog.get_logger("tierflow.access")


class KeyStore(Protocol):
    """A place where keys are kept. `read` gives them with a mark of what was read, and `write`
    replaces what has this mark; it gives False where somebody else was first. Both raise
    KeysProblem, and StateLost."""

    async def read(self) -> tuple[StoredKeys, Any]: ...

    async def write(self, keys: StoredKeys, mark: Any) -> bool: ...


class SharedKeys:
    """The keys in the store that the replicas share: one cell, changed by compare and set.

    A store that was emptied gets back what this replica knows, so that no caller is refused for
    it: the record with the most changes counts.
    """

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known = StoredKeys()
        self._renewed = float("-inf")

    async def read(self) -> tuple[StoredKeys, Any]:
        ((number, value),) = await self._store.run(Read(KEYS, TABLE))
        found = _decode(value)
        if found.version < self._known.version:
            if await self._keep(self._known, number):
                log.warning("keys_restored", version=self._known.version)
                number += 1
            found = self._known
        elif found.version and self._clock.now() - self._renewed >= RENEWED_S:
            if await self._keep(found, number):
                number += 1
            self._renewed = self._clock.now()
        self._known = found
        return found, number

    async def write(self, keys: StoredKeys, mark: Any) -> bool:
        if not await self._keep(keys, mark):
            return False
        self._known, self._renewed = keys, self._clock.now()
        return True

    async def _keep(self, keys: StoredKeys, number: int) -> bool:
        (kept,) = await self._store.run(
            Advance(
                kind=KEYS,
                name=TABLE,
                expected=number,
                value=msgspec.msgpack.encode(keys),
                ttl_s=KEPT_S,
            )
        )
        return bool(kept)


class KeyWatch:
    """The task that brings stored keys into the table, every LOOK_EVERY_S. What can't be read
    leaves the last good ones in use, and `problem` says so; "" while all is well. `read`: keys have
    been read at least once, were it that there are none."""

    def __init__(self, store: KeyStore, table: KeyTable) -> None:
        self.store = store
        self.problem = ""
        self.read = False
        self._table = table
        self._current = StoredKeys()

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.turn()

    async def turn(self) -> None:
        """Look once."""
        try:
            found, _ = await self.store.read()
        except (KeysProblem, StateLost) as error:
            self._note(error.message if isinstance(error, StateLost) else str(error))
            return
        except Exception as error:
            # Whatever it is, the next look comes: else a revoked key would stay good.
            self._note(f"reading them failed with {type(error).__name__}")
            return
        if self.problem:
            log.info("keys_read_again")
        self.problem = ""
        self.adopt(found)

    def _note(self, problem: str) -> None:
        if not self.problem:
            log.warning("keys_not_read", problem=problem)
        self.problem = problem

    def adopt(self, keys: StoredKeys) -> None:
        """These are the stored keys now."""
        self.read = True
        if keys != self._current:
            self._current = keys
            self._table.replace(keys.keys, made=keys.version > 0)


def _decode(value: bytes | None) -> StoredKeys:
    """Raises KeysProblem."""
    if value is None:
        return StoredKeys()
    try:
        return msgspec.msgpack.decode(value, type=StoredKeys)
    except UNREADABLE as error:
        raise KeysProblem("the keys in the shared state are unreadable") from error
