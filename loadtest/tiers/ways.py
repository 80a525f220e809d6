"""The ways to answer: which tiers take part, what is asked for each, and which engines run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.protocol import virtual_models
from gateway.protocol.virtual_models import (
    DEVICE_CLOUD,
    DEVICE_EDGE,
    DEVICE_EDGE_CLOUD,
    ON_DEVICE,
)
from loadtest.measure.processes import Process
from loadtest.speculation.engines import COLOCATED, Engines
from loadtest.speculation.links import PLAIN_CLOUD, PLAIN_EDGE

NATURAL, A80, A50 = "natural", "0.8", "0.5"
ACCEPTANCES: Mapping[str, float] = {A80: 0.8, A50: 0.5}
"""Of the spoiled drafters' drafts, by the drafter's name."""
BASELINE, DRAFTING = "baseline", "drafting"
"""The edge site's gateway before engines without drafts, and the one before those with."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to answer, and the device's drafter that takes part (empty: none does)."""

    name: str
    drafter: str = ""

    @property
    def label(self) -> str:
        return f"{self.name}, acceptance {self.drafter}" if self.drafter else self.name


DEVICE_ONLY = Way("device only", NATURAL)
EDGE_ONLY, CLOUD_ONLY, CO_LOCATED = Way("edge only"), Way("cloud only"), Way("co-located")
EDGE_CLOUD = Way("edge-cloud")


def with_device(others: str, drafter: str = NATURAL) -> Way:
    """A device that drafts for these tiers, such as `edge-cloud`."""
    return Way(f"device-{others}", drafter)


MODELS: Mapping[str, str] = {
    "device only": ON_DEVICE,
    "edge only": PLAIN_EDGE,
    "cloud only": PLAIN_CLOUD,
    "co-located": COLOCATED,
    "device-edge": DEVICE_EDGE,
    "device-cloud": DEVICE_CLOUD,
    "edge-cloud": virtual_models.EDGE_CLOUD,
    "device-edge-cloud": DEVICE_EDGE_CLOUD,
}
"""The model to ask for, by the way's name."""


def target_of(way: Way) -> str:
    """Which of the testbed's targets is asked: a device, by its drafter, or a gateway."""
    if way.drafter:
        return way.drafter
    return BASELINE if way in (EDGE_ONLY, CLOUD_ONLY, CO_LOCATED) else DRAFTING


def verifier_of(way: Way) -> Way | None:
    """The tier alone that commits the tokens of this way; None for a tier alone."""
    if way in (DEVICE_ONLY, EDGE_ONLY, CLOUD_ONLY):
        return None
    return EDGE_ONLY if way.name == "device-edge" else CLOUD_ONLY


def engines_of(way: Way, engines: Engines) -> Sequence[Process]:
    """The engines that run while this way answers, the committing one first; none for the device
    alone. A site that has an edge has it also where devices draft for the cloud past it: else two
    tiers would be compared with three on an emptier machine."""
    if way == CO_LOCATED:
        return [engines.colocated] if engines.colocated is not None else []
    passes_edge = way.name == "device-cloud"
    tiers = [tier for tier in ("cloud", "edge") if tier in way.name or passes_edge]
    if way in (EDGE_ONLY, CLOUD_ONLY):
        return [engines.plain[tier] for tier in tiers]
    return [engines.drafting[tier].engine for tier in tiers]
