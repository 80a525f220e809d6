"""How Redis is reached: addresses, credentials, TLS, and clients that try nothing twice.

A command that was sent may have been carried out: whether to say it twice is not for a client of
one connection to decide.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

Address = tuple[str, int]
MAX_CONNECTIONS = 32
"""From one replica to one server, besides the one that listens."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, Any]:
        return {"username": self.username, "password": self.password}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The place where Redis is, and how it is spoken to. `addresses` of the server, of the
    cluster's nodes to begin with, or, where there is a `master`, of the sentinels that know it.
    `tls` does the handshakes; None: plain."""

    addresses: Sequence[Address]
    database: int = 0
    cluster: bool = False
    master: str = ""
    credentials: Credentials = Credentials()
    sentinel_credentials: Credentials = Credentials()
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """For the operator; no secret in it."""
        where = ", ".join(f"{host}:{port}" for host, port in self.addresses)
        kind = "cluster at " if self.cluster else f"{self.master} by " if self.master else ""
        return f"{kind}{where}"


def client_to(target: Target, address: Address) -> Redis:
    host, port = address
    client = Redis(
        host=host,
        port=port,
        db=target.database,
        ssl=target.tls is not None,
        **target.credentials.options(),
        **_plainly(),
    )
    return _encrypted(client, target)


def client_by_sentinels(target: Target, timeout_s: float) -> Redis:
    """A client of whom they call the master. Each has a part of the time to answer: one that is
    silent must not use up what the others need."""
    each = timeout_s / (len(target.addresses) + 1)
    asking = {
        **_plainly(),
        "ssl": target.tls is not None,
        **target.sentinel_credentials.options(),
        "socket_timeout": each,
        "socket_connect_timeout": each,
    }
    # redis-py leaves this without types, as its other lines that are passed over here.
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(target.addresses), sentinel_kwargs=asking
    )
    client: Redis = sentinel.master_for(
        target.master,
        db=target.database,
        ssl=target.tls is not None,
        **target.credentials.options(),
        **_plainly(),
    )
    for asked in sentinel.sentinels:
        _encrypted(asked, target)
    return _encrypted(client, target)


def _plainly() -> dict[str, Any]:
    """Times are bounded around whole calls. The older protocol connects in fewer round trips."""
    return {
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        "max_connections": MAX_CONNECTIONS + 8,
    }


def _encrypted(client: Redis, target: Target) -> Redis:
    """Have its connections do their handshakes by the context of `target`, which reads files again
    that have changed: redis-py would keep what each connection has read first."""
    if target.tls is None:
        return client
    context = target.tls
    plain = client.connection_pool.connection_class

    class Encrypted(plain):  # type: ignore[misc, valid-type]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ssl_context.context = context

    client.connection_pool.connection_class = Encrypted
    return client
