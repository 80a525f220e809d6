"""TLS: the files of servers and clients."""

from __future__ import annotations

from pydantic import Field, model_validator

from gateway.settings.group import Group


class ServerTls(Group):
    """TLS of an address at which the gateway listens. Files are PEM, and read again when they
    change; see docs/security.md."""

    certificate: str = Field(
        description="The file of the certificate, with the chain that leads to its authority."
    )
    key: str = Field(description="The file of the certificate's key.")
    client_ca: str | None = Field(
        default=None,
        description="A file of authorities: clients must show a certificate of one of them. "
        "Default: they need none.",
    )


class ClientTls(Group):
    """TLS to what the gateway connects to. Files are PEM, and read again when they change; see
    docs/security.md."""

    ca: str | None = Field(
        default=None,
        description="A file of certificate authorities to trust; default: the system's.",
    )
    certificate: str | None = Field(
        default=None, description="A file with the gateway's client certificate."
    )
    key: str | None = Field(
        default=None, description="A file with the key of the client certificate."
    )
    check_hostname: bool = Field(
        default=True, description="Whether the server's name must be in its certificate."
    )

    @model_validator(mode="after")
    def _pair(self) -> ClientTls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate, key: give both, or none")
        return self
