"""Names of devices are unique over those of the settings and those that are enrolled."""

from __future__ import annotations

from gateway.errors import Conflict
from gateway.serving.devices.tokens import DeviceTokens


def not_in_settings(name: str, tokens: DeviceTokens) -> None:
    """Raises Conflict for the name of a device of the settings."""
    if name in tokens.names:
        raise Conflict(
            f"name: {name} is listed in the gateway's settings under devices.tokens; change "
            "it there",
            param="name",
            code="name_in_settings",
        )


def taken(name: str) -> Conflict:
    """The error for the name of an enrolled device."""
    return Conflict(
        f"name: {name} is enrolled already; choose another, or revoke it first",
        param="name",
        code="name_taken",
    )
