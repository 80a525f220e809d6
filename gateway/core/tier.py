"""The tiers of the hierarchy."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """A tier of the hierarchy, from the device to the cloud."""

    DEVICE = "device"
    EDGE = "edge"
    CLOUD = "cloud"

    @property
    def rank(self) -> int:
        """0 is closest to the user."""
        return _RANKS[self]


_RANKS = {tier: rank for rank, tier in enumerate(Tier)}
