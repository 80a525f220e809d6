"""Who a caller is by the claims of a token that an issuer has signed, or by a proxy's word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from gateway.core.access.key import Identity, Quotas, Scope, TierName, Way
from gateway.core.access.networks import Network, is_within
from gateway.core.privacy import Privacy
from gateway.errors import InvalidKey

MAX_NAME_CHARS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRule:
    """How an issuer's claims become an identity. `name`: the claim that says who calls. `scopes`
    maps what a caller may use (models, tiers, ways, privacy) to the claim that lists it; a token
    without a claim that stands there is for none of them."""

    issuer: str
    name: str
    scopes: Mapping[str, str]
    quotas: Quotas


def identity_of(claims: Mapping[str, Any], rule: ClaimRule) -> Identity:
    """Raises InvalidKey."""
    return named_identity(rule.issuer, claims.get(rule.name), _scope(claims, rule), rule.quotas)


def named_identity(source: str, name: object, scope: Scope, quotas: Quotas) -> Identity:
    """A caller that `source`, an issuer or a proxy, calls `name`. Raises InvalidKey."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InvalidKey(
            f"{source} names no caller: 1 to {MAX_NAME_CHARS} printable characters are needed",
            code="invalid_api_key",
        )
    key = f"{source}/{name}"
    id = f"key {key}"
    return Identity(id=id, owner=id, key=key, scope=scope, quotas=quotas)


def _scope(claims: Mapping[str, Any], rule: ClaimRule) -> Scope:
    listed = {what: _words(claims.get(claim)) for what, claim in rule.scopes.items()}
    return Scope(
        models=listed.get("models"),
        tiers=_known(listed.get("tiers"), get_args(TierName)),
        ways=_known(listed.get("ways"), get_args(Way)),
        privacy=_known(listed.get("privacy"), get_args(Privacy)),
    )


def _words(claim: Any) -> frozenset[str]:
    """A list, or a text of words as OAuth's `scope` is (RFC 8693, section 4.2)."""
    found = claim.split() if isinstance(claim, str) else claim
    if not isinstance(found, list):
        return frozenset()
    return frozenset(word for word in found if isinstance(word, str))


def _known(words: frozenset[str] | None, allowed: Sequence[Any]) -> frozenset[Any] | None:
    return None if words is None else words & frozenset(allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxy:
    """A proxy before the gateway that has found out who calls, and says so in `header` (in lower
    case). Only what comes from `networks` is believed."""

    networks: tuple[Network, ...]
    header: bytes
    quotas: Quotas

    def identity(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> Identity | None:
        """Who calls; None where it is not the proxy that asks, or it names nobody. `peer` is the
        address of the connection's other end, `headers` have names in lower case. Raises
        InvalidKey for more than one name."""
        named = [value for name, value in headers if name == self.header]
        if not named or not is_within(peer, self.networks):
            return None
        name = named[0].decode("utf-8", "replace").strip() if len(named) == 1 else None
        return named_identity("proxy", name, Scope(), self.quotas)
