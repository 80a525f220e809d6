"""The callers' keys, as each replica has them in its memory."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Iterable, Mapping

from gateway.core.access.key import ApiKey, Identity, token_digest


class KeyTable:
    """The keys by their digests: looking one up costs no round trip. `fixed` are the settings' own;
    `replace` brings all others, of which a name of the settings is passed over. `made`: there is a
    key, or has been one. `unix_time` in seconds."""

    def __init__(self, fixed: Iterable[ApiKey], unix_time: Callable[[], float]) -> None:
        self.fixed: dict[str, ApiKey] = {key.name: key for key in fixed}
        self.keys: Mapping[str, ApiKey] = {}
        self.made = bool(self.fixed)
        self._unix_time = unix_time
        self._by_digest: Mapping[str, tuple[str, float, Identity]] = {}
        self.replace(())

    def replace(self, keys: Iterable[ApiKey], *, made: bool = False) -> None:
        """From now on these keys are good, and the settings'. `made`: operators have made keys,
        though they may have revoked them."""
        self.keys = {key.name: key for key in keys} | self.fixed
        by_digest: dict[str, tuple[str, float, Identity]] = {}
        for key in self.keys.values():
            identity = key.identity
            for digest, end in key.digests:
                by_digest[digest] = digest, end, identity
        self._by_digest = by_digest
        self.made = self.made or made or bool(self.keys)

    def remaining(self) -> Mapping[str, float]:
        """Seconds until keys end, by their names; below zero once one has. Those without an end are
        not in it."""
        now = self._unix_time()
        ends = {name: key.expires for name, key in self.keys.items()}
        return {name: end - now for name, end in ends.items() if end is not None}

    def find(self, token: str) -> Identity | None:
        """Whose key it is; None for one that is unknown, revoked or expired.

        The look-up is by a digest, which a guess says nothing about, and the comparison takes the
        same time wherever two digests differ.
        """
        digest = token_digest(token)
        if (found := self._by_digest.get(digest)) is None:
            return None
        stored, end, identity = found
        good = hmac.compare_digest(stored, digest)
        return identity if good and (end == math.inf or self._unix_time() < end) else None
