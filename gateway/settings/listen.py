"""Where the gateway listens."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.settings.group import Group, Unit


class Listen(Group):
    """The address at which the gateway serves its API."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Unit("port")] = Field(
        default=8080, ge=0, le=65535, description="The port; 0 takes a free one."
    )
