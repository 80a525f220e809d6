"""How the gateway ends."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.group import Group
from gateway.settings.values import Seconds


class LifecycleSettings(Group):
    """The end of the gateway, once it gets SIGTERM: docs/gateway.md."""

    notice_s: Seconds | None = Field(
        default=None,
        ge=0,
        description="How long the gateway says that it is not ready, and takes requests all the "
        "same, before it takes no more. Default: 2 seconds while requests run, none otherwise.",
    )
    drain_s: Seconds = Field(
        default=300.0,
        ge=0,
        description="How long running answers may then go on. What has not ended by then ends "
        "with an error.",
    )
