"""The names of keys. What stands in braces decides the slot of a cluster: an operation's keys share
it, and so lie on one server."""

from __future__ import annotations


class Keys:
    """The names of keys and channels. `prefix` keeps several deployments on one server apart."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def leases(self, kind: str) -> tuple[str, str, str]:
        """A sorted set by expiry, who holds each, and their values: all of a kind together, as
        they are read together."""
        base = f"{self._prefix}:lease:{{{kind}}}"
        return f"{base}:until", f"{base}:holder", f"{base}:value"

    def round(self, kind: str, name: str) -> str:
        return f"{self._prefix}:round:{{{kind}:{name}}}"

    def bucket(self, kind: str, name: str) -> str:
        return f"{self._prefix}:bucket:{{{kind}:{name}}}"

    def mean(self, kind: str, name: str) -> str:
        """Those of a kind in one slot: many are asked for at once."""
        return f"{self._prefix}:mean:{{{kind}}}:{name}"

    def claim(self, name: str) -> str:
        return f"{self._prefix}:claim:{{{name}}}"

    def channel(self, name: str) -> str:
        return f"{self._prefix}:{name}"
