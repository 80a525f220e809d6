"""The keys that operators make, as they are stored: all of them in one record with a number."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.core.access.key import ApiKey

MAX_KEYS = 5000


class KeysProblem(Exception):
    """The stored keys can't be read or written. The message is for the operator."""


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """The keys, by whatever order, after `version` changes; 0: nobody has ever made one."""

    version: int = 0
    keys: tuple[ApiKey, ...] = ()

    def find(self, name: str) -> ApiKey | None:
        return next((key for key in self.keys if key.name == name), None)

    def put(self, key: ApiKey) -> StoredKeys:
        """With this key, in the place of one of its name."""
        kept = tuple(each for each in self.keys if each.name != key.name)
        return StoredKeys(self.version + 1, (*kept, key))

    def remove(self, name: str) -> StoredKeys:
        """Without the key of this name."""
        return StoredKeys(self.version + 1, tuple(each for each in self.keys if each.name != name))


def rotated(key: ApiKey, digest: str, now: float, grace_s: float) -> ApiKey:
    """The key with another secret, of this digest; the one before is good for `grace_s` more. One
    that was in its own grace until now is good no longer."""
    previous = key.digest if grace_s > 0 else ""
    return replace(key, digest=digest, previous=previous, previous_until=now + grace_s)
