"""Filters keep the endpoints that can take a request. Add one: a function and a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.core.types import EndpointState, InferenceRequest

Filter = Callable[[InferenceRequest, str, EndpointState, float], bool]
"""(request, the served model's name, endpoint, now) -> may it stay?"""


def healthy(request: InferenceRequest, model: str, state: EndpointState, now: float) -> bool:
    return state.healthy


def serves_model(request: InferenceRequest, model: str, state: EndpointState, now: float) -> bool:
    return model in state.models


FILTERS: Mapping[str, Filter] = {
    "healthy": healthy,
    "serves_model": serves_model,
}
