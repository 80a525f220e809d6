"""Privacy classes of requests."""

from __future__ import annotations

from pydantic import Field

from gateway.core.tier import Tier
from gateway.settings.group import Group


class PrivacySettings(Group):
    """Which tiers may see a request that says `x-tierflow-privacy: owner` or `private`; see
    docs/privacy.md."""

    owner_tiers: tuple[Tier, ...] = Field(
        default=(Tier.DEVICE, Tier.EDGE),
        description="The tiers for the class `owner`. At the tier `device` only devices of the "
        "caller's own owner see it.",
    )
    private_tiers: tuple[Tier, ...] = Field(
        default=(),
        description="The tiers for the class `private`; default: none, it stays on the device "
        "where it was asked.",
    )
