"""Settings of streams whose engine breaks in the middle of an answer."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.group import Group
from gateway.settings.values import Seconds


class ContinuationSettings(Group):
    """Streams whose engine breaks in the middle: another engine goes on with them."""

    enabled: bool = Field(
        default=True,
        description="Whether streams are continued. Engines are then asked for token ids as well, "
        "which callers see only where they ask for them.",
    )
    patience_s: Seconds = Field(
        default=30.0,
        ge=0,
        description="How long a broken stream waits for an endpoint that goes on with it.",
    )
