"""The addresses at which the gateway is reached."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from gateway.protocol.browser_guard import ANY, is_host, is_loopback
from gateway.settings.checks.addresses import check_host, check_origin
from gateway.settings.group import Group, Unit
from gateway.settings.tls import ServerTls


def _listenable(host: str) -> str:
    check_host(host.strip("[]"))
    return host


Host = Annotated[str, AfterValidator(_listenable)]


class Listen(Group):
    """The address at which the gateway serves its API."""

    host: Host = Field(default="127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Unit("port")] = Field(
        default=8080, ge=0, le=65535, description="The port; 0 takes a free one."
    )

    allowed_hosts: tuple[str, ...] | None = Field(
        default=None,
        description="Names and addresses by which requests may call the gateway in their Host "
        "header; `*`: any. On a loopback address localhost, 127.0.0.1 and ::1 are always among "
        "them. Default: those alone, and elsewhere any.",
    )
    allowed_origins: tuple[str, ...] | None = Field(
        default=None,
        description="Origins of web pages that may ask and read answers, such as "
        "`http://localhost:3000`; `*`: any. All others are refused. Default: none but pages of the "
        "gateway's own address; elsewhere than on loopback origins are not looked at.",
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for host in hosts or ():
            if not is_host(host):
                raise ValueError(f"{host!r} is not a name or an address without a port")
        return hosts

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for origin in origins or ():
            if origin != ANY:
                check_origin(origin)
        return origins

    tls: ServerTls | None = None

    @property
    def beyond_loopback(self) -> bool:
        """Whether other machines may reach it."""
        return not is_loopback(self.host)


class Operations(Group):
    """The operators' address: metrics, the details of `/ready`, the API's description, and the
    admin API. See docs/security.md."""

    host: Host = Field(default="127.0.0.1", description="The address to listen on.")
    port: Annotated[int | None, Unit("port")] = Field(
        default=None,
        ge=0,
        le=65535,
        description="The port; 0 takes a free one. Without it the operators' routes are at "
        "`listen`: open where that is a loopback address, and elsewhere for the admin token alone.",
    )
    tls: ServerTls | None = None
