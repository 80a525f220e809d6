"""Callers' keys: what a key stands for, and for how long."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from gateway.core.privacy import Privacy

PREFIX = "tf-"
"""Of every key: a bearer token that begins so and is not known is refused, whatever the rule."""
MAX_TOKEN_CHARS = 4096

Way = Literal["plain", "cascade", "collective"]
"""The ways of answering: by one engine, by `tierflow-cascade`, by `tierflow-collective`."""
TierName = Literal["device", "edge", "cloud"]
Count = Annotated[int, msgspec.Meta(ge=1, le=10**15)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a key may be used for; None: all there is. `models` are the names that a caller may
    ask for, virtual ones too; `tiers` where its requests may be answered, also the requests that
    the gateway makes for them; `privacy` the classes that its requests may have."""

    models: frozenset[str] | None = None
    tiers: frozenset[TierName] | None = None
    ways: frozenset[Way] | None = None
    privacy: frozenset[Privacy] | None = None

    @classmethod
    def of(
        cls,
        *,
        models: Iterable[str] | None,
        tiers: Iterable[TierName] | None,
        ways: Iterable[Way] | None,
        privacy: Iterable[Privacy] | None,
    ) -> Scope:
        """From lists, as settings and operators write them; None: all there is."""
        if models is None and tiers is None and ways is None and privacy is None:
            return EVERYTHING
        return cls(
            models=None if models is None else frozenset(models),
            tiers=None if tiers is None else frozenset(tiers),
            ways=None if ways is None else frozenset(ways),
            privacy=None if privacy is None else frozenset(privacy),
        )


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """How much a key may be used; None: without a limit. A request counts as many requests as
    engines were asked for it, and `fan_out` bounds that for one of them."""

    requests_per_min: Count | None = None
    tokens_per_min: Count | None = None
    tokens_per_day: Count | None = None
    in_flight: Count | None = None
    fan_out: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A caller's key. `digest` is its SHA-256 in hex; the key itself is nowhere. Times are Unix
    seconds; `created` 0: it stands in the settings, and nobody has noted when it was made. While a
    rotation's grace lasts, until `previous_until`, the key that it replaced, of the digest
    `previous`, is good as well; "": there is none."""

    name: Name
    digest: Digest
    created: float
    scope: Scope = EVERYTHING
    quotas: Quotas = Quotas()
    expires: float | None = None
    previous: str = ""
    previous_until: float = 0.0

    @property
    def identity(self) -> Identity:
        """Who shows it, under whatever rotation."""
        made = f"@{self.created!r}" if self.created else ""
        return Identity(
            id=f"key {self.name}",
            owner=f"key {self.name}{made}",
            key=self.name,
            scope=self.scope,
            quotas=self.quotas,
        )

    @property
    def digests(self) -> tuple[tuple[str, float], ...]:
        """The digests of the keys that are good under this name, each with when it ends to be."""
        end = math.inf if self.expires is None else self.expires
        if not self.previous:
            return ((self.digest, end),)
        return (self.previous, min(end, self.previous_until)), (self.digest, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls. `id` tells callers apart: "key team-a", "device phone", "" where nobody has shown
    who they are. `key` is the name of the key that was shown; "": none.

    `owner` is whose the things are that a caller leaves behind: what it has used, its streams, its
    idempotency keys, its answers to be judged. It is the `id` with the moment at which the key was
    made, or the device enrolled: a name that is given again, to somebody else, inherits nothing.
    """

    id: str = ""
    owner: str = ""
    key: str = ""
    scope: Scope = EVERYTHING
    quotas: Quotas = Quotas()


ANONYMOUS = Identity()


def bearer_token(authorization: str) -> str:
    """The token of an Authorization header; "" where there is none, or one that is too long."""
    if authorization[:7].lower() != "bearer ":
        return ""
    token = authorization[7:].strip()
    return token if len(token) <= MAX_TOKEN_CHARS else ""


def token_digest(token: str) -> str:
    """SHA-256 in hex of the bytes that came, which headers are read from as Latin-1."""
    return hashlib.sha256(token.encode("latin-1", "replace")).hexdigest()
