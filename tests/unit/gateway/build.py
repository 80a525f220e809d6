"""Short ways to build the gateway's types in tests."""

from __future__ import annotations

from typing import Any

from gateway.core.routing.profile import build_profile
from gateway.core.routing.routing import Routing
from gateway.core.types import (
    Demands,
    Endpoint,
    EndpointState,
    InferenceRequest,
    Limits,
    ServedModel,
    Tier,
)
from gateway.settings import shipped_profiles

FAMILY = ("rill-device", "rill-edge", "rill-cloud")


def request(model: str = "tierflow-auto", **fields: Any) -> InferenceRequest:
    demands = {
        name: fields.pop(name)
        for name in ("max_tier", "min_quality", "deadline_s", "session", "cascade_quality")
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
        endpoint=Endpoint(id=name, url=f"http://{name}", pool=pool, tier=Tier(pool)),
        limits=Limits(**fields.pop("limits", {})),
        healthy=True,
        seen=True,
        problem="",
        models={model: ServedModel(model, fields.pop("max_model_len", None))},
    )
    for field, value in fields.items():
        setattr(built, field, value)
    return built


def measured(built: EndpointState, *, decode_s: float, prefill_s: float = 1e-5) -> EndpointState:
    """The same endpoint with rates as if measured at time 0."""
    built.decode_s_per_token.observe(decode_s, 0.0)
    built.prefill_s_per_token.observe(prefill_s, 0.0)
    return built


def routing(*pools: str, profile: str = "default") -> Routing:
    built = build_profile(profile, shipped_profiles()[profile])
    return Routing(dict.fromkeys(pools or ("edge", "cloud"), built), FAMILY)
