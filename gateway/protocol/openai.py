"""The few OpenAI shapes that the gateway itself writes. Inference bodies pass through unparsed."""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import BaseModel, Field

STARTED = int(time.time())
"""Since when what this process serves is there."""


class ErrorDetail(BaseModel):
    """The error of an OpenAI error body."""

    message: str = Field(description="what is wrong, and what would be right")
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """An OpenAI error body."""

    error: ErrorDetail


class ModelCard(BaseModel):
    """An entry of /v1/models; the fields after `parent` are Tierflow's own."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(default=STARTED, description="Unix time, seconds, of the gateway's start")
    owned_by: str = "tierflow"
    root: str = Field(default="", description="as the id")
    parent: str | None = None
    tier: str | None = Field(default=None, description="device, edge or cloud; null for virtual")
    pools: list[str] = []
    max_model_len: int | None = Field(default=None, description="tokens, prompt and answer")
    max_request_bytes: int
    ready: bool
    virtual: bool = False

    def model_post_init(self, context: Any, /) -> None:
        self.root = self.root or self.id


class ModelList(BaseModel):
    """The body of /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class PoolCondition(BaseModel):
    """A pool, as /ready tells it."""

    ready: bool
    tier: str
    endpoints: dict[str, str] = Field(description="endpoint id -> ok, or why not")
    held: int = Field(default=0, description="requests that wait for its first endpoint")
    drafts: Literal["mailbox", "rounds", "none"] = Field(
        default="none", description="the way in which its engines take drafts"
    )


class Readiness(BaseModel):
    """The body of /ready."""

    ready: bool
    conditions: dict[str, str] = Field(default={}, description="degraded modes, by name")
    pools: dict[str, PoolCondition] = Field(
        default={}, description="by name; left out where callers ask at their own address"
    )
