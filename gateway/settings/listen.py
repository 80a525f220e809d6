"""The addresses at which the gateway is reached."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import Field

from gateway.settings.group import Group, Unit


class Listen(Group):
    """The address at which the gateway serves its API."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Unit("port")] = Field(
        default=8080, ge=0, le=65535, description="The port; 0 takes a free one."
    )

    @property
    def beyond_loopback(self) -> bool:
        """Whether other machines may reach it."""
        return not is_loopback(self.host)


class Operations(Group):
    """The operators' address: metrics, the details of `/ready`, the API's description, and the
    admin API. See docs/security.md."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: Annotated[int | None, Unit("port")] = Field(
        default=None,
        ge=0,
        le=65535,
        description="The port; 0 takes a free one. Without it the operators' routes are at "
        "`listen`: open where that is a loopback address, and elsewhere for the admin token alone.",
    )


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches what listens on `host`, a name or an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
