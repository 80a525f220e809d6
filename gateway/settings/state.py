"""State that the replicas share."""

from __future__ import annotations

from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.settings.group import Group

SCHEMES = {"redis": False, "rediss": True}
DEFAULT_PORT = 6379
SENTINEL_PORT = 26379


class RedisTls(Group):
    """Files. On by itself where the URL says rediss://."""

    enabled: bool = False
    ca: str | None = Field(default=None, description="whom to trust; none: the system's own")
    certificate: str | None = Field(default=None, description="of the gateway, with its key")
    key: str | None = None
    check_hostname: bool = True

    @model_validator(mode="after")
    def _pair(self) -> RedisTls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate, key: give both, or none")
        return self


class Redis(Group):
    """One server by its URL, a master by sentinels, or a cluster by one of its nodes."""

    url: SecretStr | None = Field(
        default=None, description="redis://[user:password@]host[:port][/database], or rediss://"
    )
    sentinels: tuple[str, ...] = Field(default=(), description="host:port of each, in place of url")
    master: str = Field(default="", description="its name among the sentinels")
    cluster: bool = Field(default=False, description="url names a node of a cluster")
    nodes: tuple[str, ...] = Field(default=(), description="further nodes to find the cluster by")
    username: str | None = None
    password: SecretStr | None = Field(default=None, description="wins over the URL's")
    sentinel_username: str | None = None
    sentinel_password: SecretStr | None = None
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
            parse_address(address)
        return addresses

    @model_validator(mode="after")
    def _one_way(self) -> Redis:
        if self.sentinels and not self.master:
            raise ValueError("master: name it; sentinels may watch several")
        if self.master and not self.sentinels:
            raise ValueError("sentinels: list those that watch the master")
        if self.sentinels and (self.url is not None or self.cluster):
            raise ValueError("sentinels: keep them, or url; the sentinels know where the server is")
        if not self.sentinels and self.url is None:
            raise ValueError("url: name the server, or set sentinels and master")
        if self.cluster and self.url is not None:
            if parse_url(self.url.get_secret_value()).database:
                raise ValueError("url: a cluster has no databases; leave the number out")
        if self.nodes and not self.cluster:
            raise ValueError("nodes: only with cluster: true")
        return self


class MemoryLimits(Group):
    """Of each kind of state that is kept in memory."""

    max_entries: int = Field(default=100_000, ge=1)
    max_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)


class StateSettings(Group):
    """Without `redis` every replica keeps its state in its own memory."""

    redis: Redis | None = None
    prefix: str = Field(
        default="tierflow",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="of all keys and channels; one for each deployment on the same server",
    )
    timeout_s: float = Field(default=0.25, gt=0, le=10, description="for each call, connecting too")
    when_lost: Literal["open", "closed"] = Field(
        default="open",
        description="open: each replica goes on with its own; closed: what needs it is refused",
    )
    memory: MemoryLimits = MemoryLimits()
    max_value_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    replicas: int = Field(
        default=1, ge=1, description="how many may run, to warn where they share nothing"
    )


class Location(Group):
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
    if parts.scheme not in SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not redis://host")
    if path and not (path.isascii() and path.isdigit()):
        raise ValueError("the database is a number")
    return Location(
        host=parts.hostname,
        port=parts.port or DEFAULT_PORT,
        tls=SCHEMES[parts.scheme],
        database=int(path or 0),
        username=unquote(parts.username) if parts.username else None,
        password=SecretStr(unquote(parts.password)) if parts.password else None,
    )


def parse_address(address: str) -> tuple[str, int]:
    """Raises ValueError that shows it: an address is no secret."""
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not host:port, such as 127.0.0.1:{SENTINEL_PORT}")
    return host.strip("[]"), int(port)
