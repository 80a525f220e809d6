"""The seams: what the gateway needs from outside, each implemented under `gateway.adapters`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.core.outcome import Outcome
from gateway.core.types import Endpoint, EndpointState


class Answer(Protocol):
    """An engine's answer while it arrives.

    `read` gives the next bytes as they come, b"" at the end, and raises `UpstreamError`.
    `close` is idempotent; before the end it makes the engine give up the work.
    """

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes: ...

    def close(self) -> None: ...


class ModelServer(Protocol):
    """Speaks to one engine. `open` returns when the answer's head has arrived.

    Raises ConnectFailed when nothing was processed for certain, EngineFailed when the
    connection broke later.
    """

    async def open(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer: ...

    async def close(self) -> None: ...


class EndpointSource(Protocol):
    """Knows the endpoints. `states` is in memory: calling it costs nothing.

    `mark_failed` takes a replica out at once, until it is seen healthy again.
    """

    def states(self) -> Sequence[EndpointState]: ...

    def mark_failed(self, endpoint_id: str, problem: str) -> None: ...


class Clock(Protocol):
    """Seconds, monotonic, from an arbitrary start."""

    def now(self) -> float: ...


class Telemetry(Protocol):
    """Takes what happened. None of its methods blocks or raises."""

    def finished(self, outcome: Outcome) -> None: ...

    def gap(self, model: str, tier: str, seconds: float) -> None: ...

    def retried(self, pool: str, cause: str) -> None: ...

    def load(self, inside: int, waiting: int) -> None: ...
