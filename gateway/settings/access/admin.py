"""Who may administer the gateway."""

from __future__ import annotations

from pydantic import Field, model_validator

from gateway.settings.group import Group
from gateway.settings.values import BearerToken, secret_digest

MIN_TOKEN = 16
"""Characters of the admin token."""


class Admin(Group):
    """The operators' API under /v1/admin and /v1/devices; see docs/device-members.md."""

    token: BearerToken | None = Field(
        default=None,
        description="The bearer token of operators, at least 16 characters, or its SHA-256 in hex. "
        "Without it the operators' API is off.",
    )

    @model_validator(mode="after")
    def _long_enough(self) -> Admin:
        if self.token is not None and len(self.token.get_secret_value()) < MIN_TOKEN:
            raise ValueError(f"token: {MIN_TOKEN} characters at least, or a SHA-256 in hex")
        return self

    @property
    def digest(self) -> str | None:
        """The token's SHA-256 in hex."""
        return None if self.token is None else secret_digest(self.token)
