"""What every request to the cascade draws on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.cascade.ports import CascadeTelemetry, OutcomeLog
from gateway.core.ports import Clock, EndpointSource
from gateway.serving.cascade.confidence import ConfidenceProbes
from gateway.serving.cascade.devices import DeviceTier
from gateway.serving.cascade.lower_tier import LowerTier, StageSpec
from gateway.serving.cascade.rules import AcceptanceRules, CascadeDefaults
from gateway.serving.cascade.top_tier import TopTier


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeDeps:
    """`tiers`: the lowest first, two at least. `uniform` gives numbers from 0 to 1, `wall` the
    time in seconds since 1970."""

    tiers: Sequence[StageSpec]
    defaults: CascadeDefaults
    rules: AcceptanceRules
    lower: LowerTier
    upper: TopTier
    judges: ConfidenceProbes
    devices: DeviceTier
    endpoints: EndpointSource
    clock: Clock
    telemetry: CascadeTelemetry
    log: OutcomeLog | None
    uniform: Callable[[], float]
    wall: Callable[[], float]

    def is_top(self, model: str) -> bool:
        """Whether this is what the top tier answers with."""
        top = self.tiers[-1]
        place = top.place
        if place is None:
            return model == top.model
        states = [s for s in self.endpoints.states() if s.endpoint.tier is place]
        return any(next(iter(state.models), None) == model for state in states)
