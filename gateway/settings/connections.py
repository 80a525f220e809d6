"""Settings of the connections of callers and devices."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import Field, field_validator

from gateway.settings.group import Group, Unit
from gateway.settings.values import Seconds


class ConnectionSettings(Group):
    """The connections of callers and devices: how many, how large the heads of requests, how slow;
    see docs/limits.md."""

    max_connections: Annotated[int, Unit("connections")] = Field(
        default=16_384,
        ge=1,
        description="Connections at once; fewer where the process may not open so many "
        "descriptors, of which each takes two. A further one gets 503.",
    )
    max_per_address: Annotated[int, Unit("connections")] = Field(
        default=4096, ge=1, description="Connections at once from one address."
    )
    exempt: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Networks of which `max_per_address` does not hold, such as those of proxies, "
        "behind which many callers have one address.",
    )
    headers_s: Seconds = Field(
        default=10.0,
        gt=0,
        description="The wait for the whole head of a request, on a new connection from its "
        "beginning.",
    )
    keep_alive_s: Seconds = Field(
        default=75.0, gt=0, description="How long a connection stays open for the next request."
    )
    max_header_bytes: int = Field(
        default=65_536, ge=1024, description="The size of a request's headers and target together."
    )
    max_headers: Annotated[int, Unit("headers")] = Field(
        default=128, ge=16, description="The headers of one request."
    )
    max_target_bytes: int = Field(
        default=8192, ge=256, description="The size of a request's target: its path and query."
    )

    @field_validator("exempt")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise ValueError(f"{network!r} is no network, such as 10.0.0.0/8") from None
        return networks
