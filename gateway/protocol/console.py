"""The shapes of what the console at `/` is told."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from gateway.protocol.device_link.devices import DeviceCard


class ConsoleEndpoint(BaseModel):
    """An endpoint of a pool, as it is now."""

    id: str
    condition: str = Field(description="ok, or why it gets no requests")
    models: list[str]
    running: int = Field(description="requests in its engine's batch")
    waiting: int = Field(description="requests in its engine's queue")
    in_flight: int = Field(description="requests that this gateway has open there")
    kv_use: float = Field(description="of its KV cache, 0 to 1")
    s_per_token: float = Field(description="a token takes it, as this gateway has measured")


class ConsolePool(BaseModel):
    """A pool of the map."""

    name: str
    tier: str
    held: int = Field(description="requests that wait for its first endpoint")
    drafts: Literal["mailbox", "rounds", "none"]
    endpoints: list[ConsoleEndpoint]


class ConsoleMap(BaseModel):
    """What there is: pools with their endpoints, the registered devices, and what is degraded."""

    callers: bool = Field(description="callers' routes are at this address, too")
    conditions: dict[str, str]
    pools: list[ConsolePool]
    devices: list[DeviceCard]


class RequestSummary(BaseModel):
    """A request that has ended. Times in seconds, null where it did not get that far."""

    id: str
    at: float = Field(description="Unix time of its end")
    path: str
    asked: str = Field(description="the model that was asked for")
    model: str = ""
    tier: str
    endpoint: str
    reason: str = Field(description="why it went there, as in x-tierflow-reason")
    outcome: str = Field(description="ok, client_error, cancelled or an error code")
    status: int
    stream: bool
    attempts: int
    resumptions: int
    prompt_tokens: int | None
    completion_tokens: int
    queue_s: float
    ttft_s: float | None
    tpot_s: float | None
    duration_s: float
    key: str = ""
    parent: str = Field(default="", description="the caller's request that it is for")
    prediction: str = ""
    prediction_accepted: int = 0
    prediction_rejected: int = 0
    device: str = Field(default="", description="that drafted for it")
    drafted: int = 0
    accepted: int = 0
