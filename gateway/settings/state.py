"""State that the replicas share."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.settings.checks.addresses import check_host, parse_address
from gateway.settings.group import Group, Unit
from gateway.settings.tls import ClientTls

SCHEMES = {"redis": False, "rediss": True}
DEFAULT_PORT = 6379
SENTINEL_PORT = 26379


class RedisTls(ClientTls):
    """TLS to Redis. It is on where the URL says rediss://, too. Files are PEM, and read again when
    they change."""

    enabled: bool = Field(
        default=False, description="Turns TLS on where no URL says rediss://, as with sentinels."
    )


class Redis(Group):
    """A Redis server by its URL, a master by its sentinels, or a cluster by one of its nodes."""

    url: SecretStr | None = Field(
        default=None,
        description="`redis://[user:password@]host[:port][/database]`, or `rediss://` with TLS.",
    )
    sentinels: tuple[str, ...] = Field(
        default=(), description="The sentinels, `host:port` each, in place of a URL."
    )
    master: str = Field(default="", description="The master's name among the sentinels.")
    cluster: bool = Field(
        default=False, description="Whether the URL names a node of a Redis cluster."
    )
    nodes: tuple[str, ...] = Field(
        default=(), description="Further nodes of the cluster, `host:port` each, to find it by."
    )
    username: str | None = Field(
        default=None, description="The user; it replaces the one in the URL."
    )
    password: SecretStr | None = Field(
        default=None, description="The password; it replaces the one in the URL."
    )
    sentinel_username: str | None = Field(default=None, description="The user at the sentinels.")
    sentinel_password: SecretStr | None = Field(
        default=None, description="The password at the sentinels."
    )
    tls: RedisTls = RedisTls()

    @field_validator("url")
    @classmethod
    def _a_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            try:
                parse_url(url.get_secret_value())
            except ValueError:
                # Not the value: it may hold a password.
                raise ValueError(
                    "not redis://[user:password@]host[:port][/database], or rediss://"
                ) from None
        return url

    @field_validator("sentinels", "nodes")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            parse_address(address, SENTINEL_PORT)
        return addresses

    @model_validator(mode="after")
    def _one_way(self) -> Redis:
        if self.sentinels and not self.master:
            raise ValueError("master: set the name of the master; `sentinels` may watch several")
        if self.master and not self.sentinels:
            raise ValueError("sentinels: list the sentinels that watch `master`")
        if self.sentinels and (self.url is not None or self.cluster):
            raise ValueError(
                "sentinels: leave `url` and `cluster` out, or leave `sentinels` out; sentinels "
                "tell where the server is"
            )
        if not self.sentinels and self.url is None:
            raise ValueError("url: set the server's URL, or set `sentinels` and `master`")
        if self.cluster and self.url is not None:
            if parse_url(self.url.get_secret_value()).database:
                raise ValueError("url: a cluster has no databases; leave the number out")
        if self.nodes and not self.cluster:
            raise ValueError("nodes: set `cluster: true` too, or leave `nodes` out")
        return self


class MemoryLimits(Group):
    """Limits of each kind of state that a replica keeps in its own memory."""

    max_entries: Annotated[int, Unit("entries")] = Field(
        default=100_000, ge=1, description="The largest number of entries of one kind."
    )
    max_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        description="The size of all entries of one kind. A full kind takes nothing from others.",
    )


class StateSettings(Group):
    """State that replicas share. Without `state.redis` each keeps its own; see docs/state.md."""

    redis: Redis | None = None
    prefix: str = Field(
        default="tierflow",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="The prefix of all keys and channels, a different one for each deployment.",
    )
    timeout_s: float = Field(
        default=0.25, gt=0, le=10, description="The wait for one call, connecting included."
    )
    when_lost: Literal["open", "closed"] = Field(
        default="open",
        description="While Redis is lost: `open`: each replica uses its own memory; `closed`: what "
        "needs the shared state is refused.",
    )
    memory: MemoryLimits = MemoryLimits()
    max_value_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        le=256 * 1024 * 1024,
        description="The size of one value or message; larger ones are refused.",
    )
    replicas: Annotated[int, Unit("replicas")] = Field(
        default=1,
        ge=1,
        description="The number of replicas that may run, to warn where they share nothing.",
    )


class Location(Group):
    """The parts of a Redis URL."""

    host: str
    port: int
    tls: bool
    database: int
    username: str | None
    password: SecretStr | None


def parse_url(url: str) -> Location:
    """Raises ValueError."""
    parts = urlsplit(url)
    path = parts.path.removeprefix("/")
    if re.search(r"[\s\x00-\x1f\x7f]", url) or parts.port == 0 or parts.netloc.endswith(":"):
        raise ValueError("a space, or no port after the colon")
    host = parts.hostname or ""
    check_host(host)
    if parts.scheme not in SCHEMES or parts.query or parts.fragment:
        raise ValueError("not redis://host")
    if path and not (path.isascii() and path.isdigit()):
        raise ValueError("the database is a number")
    return Location(
        host=host,
        port=parts.port or DEFAULT_PORT,
        tls=SCHEMES[parts.scheme],
        database=int(path or 0),
        username=unquote(parts.username) if parts.username else None,
        password=SecretStr(unquote(parts.password)) if parts.password else None,
    )
