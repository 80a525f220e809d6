"""Tier policies: in which order to try the pools. Add one: a function and a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.core.routing.expected_time import expected_seconds
from gateway.core.tier import Tier
from gateway.core.types import EndpointState, InferenceRequest
from gateway.protocol import virtual_models


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """A pool as a policy sees it: the model it would answer with, and who could answer now.

    `quality` is the model's place in the family, 0 for the smallest, None outside of it.
    """

    name: str
    tier: Tier
    model: str
    quality: int | None
    eligible: Sequence[EndpointState]

    @property
    def saturated(self) -> bool:
        return all(state.saturated for state in self.eligible)

    @property
    def full(self) -> bool:
        return all(state.full for state in self.eligible)

    def expected_seconds(self, request: InferenceRequest, now: float) -> float:
        """Of its best endpoint; infinite when there is none."""
        times = [expected_seconds(request, state, now) for state in self.eligible]
        return min(times, default=float("inf"))


@dataclass(frozen=True, slots=True)
class Preference:
    """One pool in the order of preference; `reason` is what the caller is told."""

    view: PoolView
    reason: str


LEVEL = 1.05
"""Expected times within this factor count as equal: they are not known better than that."""

Policy = Callable[[InferenceRequest, Sequence[PoolView], float], list[Preference]]
"""(request, the pools within the caller's demands, now) -> all of them, best first."""


def by_model(request: InferenceRequest, views: Sequence[PoolView], now: float) -> list[Preference]:
    """The caller named a real model: the pools that have it, the least expected time first."""
    ordered = sorted(views, key=lambda view: (view.expected_seconds(request, now), view.tier.rank))
    return [Preference(view, "model") for view in ordered]


def prefer(tier: Tier) -> Policy:
    """That tier first, then those above it, then those below it."""

    def policy(
        request: InferenceRequest, views: Sequence[PoolView], now: float
    ) -> list[Preference]:
        def distance(view: PoolView) -> tuple[bool, int, float]:
            away = view.tier.rank - tier.rank
            return away < 0, abs(away), view.expected_seconds(request, now)

        return [
            Preference(view, "tier" if view.tier is tier else "failover")
            for view in sorted(views, key=distance)
        ]

    return policy


def least_time(
    request: InferenceRequest, views: Sequence[PoolView], now: float
) -> list[Preference]:
    """Least expected time to finish; near-equal times go to the lower tier, which costs less.

    With a deadline, the pools that should meet it come first. When none should, the fastest is
    still tried, and the caller is told.
    """
    times = {view.name: view.expected_seconds(request, now) for view in views}
    level = min(times.values(), default=0.0) * LEVEL

    def cost(view: PoolView) -> tuple[bool, float]:
        slower = times[view.name] > level
        return slower, times[view.name] if slower else view.tier.rank

    ordered = sorted(views, key=cost)
    deadline = request.demands.deadline_s
    if deadline is None:
        return [Preference(view, "least-time") for view in ordered]
    remaining_s = deadline - (now - request.received)
    return [
        Preference(view, "least-time" if times[view.name] <= remaining_s else "deadline-unlikely")
        for view in ordered
    ]


VIRTUAL_MODELS: Mapping[str, Policy] = {
    virtual_models.EDGE: prefer(Tier.EDGE),
    virtual_models.CLOUD: prefer(Tier.CLOUD),
    virtual_models.AUTO: least_time,
}
