"""The shapes of the keys' API: what operators make and see."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
KeyName = Annotated[str, Field(pattern=NAME_PATTERN)]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]
Limit = Annotated[int, Field(ge=1, le=10**15)]
MAX_YEARS_S = 10 * 366 * 86_400.0
MAX_GRACE_S = 30 * 86_400.0


class KeyTerms(BaseModel):
    """What a key is for, and how much it may be used; null: without a limit."""

    models: list[ModelName] | None = Field(
        default=None, min_length=1, max_length=256, description="models that it may ask for"
    )
    tiers: list[Literal["device", "edge", "cloud"]] | None = Field(
        default=None, min_length=1, max_length=3, description="tiers that may answer it"
    )
    ways: list[Literal["plain", "cascade", "collective"]] | None = Field(
        default=None, min_length=1, max_length=3, description="ways of answering"
    )
    privacy: list[Literal["public", "owner", "private"]] | None = Field(
        default=None, min_length=1, max_length=3, description="privacy classes of its requests"
    )
    requests_per_min: Limit | None = Field(default=None, description="requests in a minute")
    tokens_per_min: Limit | None = Field(
        default=None, description="tokens of prompts and answers in a minute"
    )
    tokens_per_day: Limit | None = Field(
        default=None, description="tokens of prompts and answers in a day"
    )
    in_flight: Limit | None = Field(default=None, description="requests at once")
    fan_out: Limit | None = Field(
        default=None, description="requests to engines that one request may cause"
    )


class KeyWish(KeyTerms):
    """A key that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: KeyName = Field(description="what logs and metrics call it")
    expires_in_s: float | None = Field(
        default=None, ge=1, le=MAX_YEARS_S, description="null: it is good until it is revoked"
    )


class RotationWish(BaseModel):
    """How long the key that is replaced stays good."""

    model_config = ConfigDict(extra="forbid")

    grace_s: float = Field(
        default=86_400.0, ge=0, le=MAX_GRACE_S, description="until the key before is refused"
    )


class KeyCard(KeyTerms):
    """A key as operators see it. Neither the key nor its digest is shown."""

    object: Literal["key"] = "key"
    name: str
    source: Literal["settings", "operator"] = Field(description="who has made it")
    created: int | None = Field(default=None, description="Unix time, seconds")
    expires: int | None = Field(default=None, description="Unix time, seconds")
    previous_until: int | None = Field(
        default=None, description="Unix time until which the key before a rotation is good"
    )


class KeyList(BaseModel):
    """Keys by name, a page of them."""

    object: Literal["list"] = "list"
    data: list[KeyCard]
    has_more: bool = False


class KeyMade(BaseModel):
    """A key that was made or rotated. It is shown once: the gateway keeps only its SHA-256."""

    object: Literal["key.made"] = "key.made"
    key: str = Field(description="the key itself, for its caller")
    card: KeyCard


class KeyRevoked(BaseModel):
    """A key that is good no longer."""

    object: Literal["key.revoked"] = "key.revoked"
    name: str
