"""Short ways to build the gateway's types in tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.adapters.state.memory import MemoryBounds
from gateway.core.endpoints.outlier_ejection import EjectionRule
from gateway.core.retry import RetryBudget
from gateway.core.routing.profile import build_profile
from gateway.core.routing.routing import Routing
from gateway.core.tier import Tier
from gateway.core.types import (
    Demands,
    Endpoint,
    EndpointState,
    InferenceRequest,
    Limits,
    Probe,
    ServedModel,
)
from gateway.settings import shipped_profiles

LIMITS = Limits(saturation_queue=8, max_in_flight=512)
BOUNDS = MemoryBounds(max_entries=100_000, max_bytes=1 << 26, max_value_bytes=1 << 22)
FAMILY = ("rill-device", "rill-edge", "rill-cloud")


def request(model: str = "tierflow-auto", **fields: Any) -> InferenceRequest:
    demands = {
        name: fields.pop(name)
        for name in (
            "max_tier",
            "min_quality",
            "deadline_s",
            "session",
            "cascade_quality",
            "priority",
        )
        if name in fields
    }
    given: dict[str, Any] = {
        "id": "request-1",
        "path": "/v1/chat/completions",
        "body": b'{"model": "' + model.encode() + b'"}',
        "received": 0.0,
        "demands": Demands(**demands),
    }
    return InferenceRequest(model=model, **(given | fields))


def state(name: str = "edge:1", pool: str = "edge", **fields: Any) -> EndpointState:
    """A healthy endpoint of the pool's tier, serving rill-<pool>."""
    model = fields.pop("model", f"rill-{pool}")
    built = EndpointState(
        endpoint=Endpoint(
            id=name, url=f"http://{name}", pool=pool, tier=Tier(pool), probe=Probe.ENGINE
        ),
        limits=replace(LIMITS, **fields.pop("limits", {})),
        healthy=True,
        seen=True,
        problem="",
        models={model: ServedModel(model, fields.pop("max_model_len", None))},
    )
    for field, value in fields.items():
        setattr(built, field, value)
    return built


def retry_budget(
    *, ratio: float = 0.2, max_attempts: int = 3, reserve: float = 10.0
) -> RetryBudget:
    return RetryBudget(ratio=ratio, max_attempts=max_attempts, reserve=reserve)


def ejection_rule(**fields: Any) -> EjectionRule:
    """The rule by default; `fields` replace its own."""
    given: dict[str, Any] = {
        "consecutive_failures": 3,
        "failure_share": 0.5,
        "min_requests": 10,
        "window_s": 10.0,
        "first_pause_s": 2.0,
        "longest_pause_s": 60.0,
        "slow_start_s": 10.0,
    }
    return EjectionRule(**(given | fields))


def measured(built: EndpointState, *, decode_s: float, prefill_s: float = 1e-5) -> EndpointState:
    """The same endpoint with rates as if measured at time 0."""
    built.decode_s_per_token.observe(decode_s, 0.0)
    built.prefill_s_per_token.observe(prefill_s, 0.0)
    return built


def routing(*pools: str, profile: str = "default") -> Routing:
    built = build_profile(profile, shipped_profiles()[profile])
    return Routing(dict.fromkeys(pools or ("edge", "cloud"), built), FAMILY)
