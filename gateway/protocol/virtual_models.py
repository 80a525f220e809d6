"""The virtual models: names that callers may give instead of a served model's."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "tierflow-"

AUTO = "tierflow-auto"
"""The gateway: the tier with the least expected time. The device agent: its best way to answer."""
EDGE = "tierflow-edge"
CLOUD = "tierflow-cloud"
"""That tier first."""
EDGE_CLOUD = "tierflow-edge-cloud"
"""A chain: the edge drafts, the cloud decides. Settings may name others."""
CASCADE = "tierflow-cascade"
COLLECTIVE = "tierflow-collective"

ON_DEVICE = "tierflow-on-device"
DEVICE_EDGE = "tierflow-device-edge"
DEVICE_CLOUD = "tierflow-device-cloud"
DEVICE_EDGE_CLOUD = "tierflow-device-edge-cloud"
"""Of the device agent alone."""

OF_TIER: Mapping[str, str] = {"edge": EDGE, "cloud": CLOUD}
"""The virtual model that prefers a tier, by the tier's name."""
