"""The `EndpointSource` port for a fixed list of endpoints, kept current by the scraper."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.types import EndpointState


class StaticEndpoints:
    """Holds the states. Not more than one scraper writes to it."""

    def __init__(self, states: Sequence[EndpointState]) -> None:
        self._states = tuple(states)
        self._by_id = {state.endpoint.id: state for state in self._states}

    def states(self) -> Sequence[EndpointState]:
        return self._states

    def mark_failed(self, endpoint_id: str, problem: str) -> None:
        state = self._by_id[endpoint_id]
        state.healthy = False
        state.problem = problem
