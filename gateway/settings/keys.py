"""Callers' keys."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from gateway.core.access.key import ApiKey, Quotas, Scope, TierName, Way
from gateway.core.privacy import Privacy
from gateway.protocol.keys import KeyName, Limit, ModelName
from gateway.settings.group import Group, Unit

MIN_KEY = 24
"""Characters of a key that is given as it is."""


class StaticKey(Group):
    """A caller's key in the settings, with what it is for and how much it may be used."""

    key: SecretStr = Field(
        description="The key, at least 24 characters, or its SHA-256 in hex.",
    )
    models: tuple[ModelName, ...] | None = Field(
        default=None, description="The models that it may ask for; default: all."
    )
    tiers: tuple[TierName, ...] | None = Field(
        default=None, description="The tiers that may answer it; default: all."
    )
    ways: tuple[Way, ...] | None = Field(
        default=None,
        description="The ways of answering: plain, cascade, collective; default: all.",
    )
    privacy: tuple[Privacy, ...] | None = Field(
        default=None,
        description="The privacy classes that its requests may have; default: all.",
    )
    requests_per_min: Annotated[Limit | None, Unit("requests per minute")] = Field(
        default=None, description="Requests, to engines where one of the caller's takes several."
    )
    tokens_per_min: Annotated[Limit | None, Unit("tokens per minute")] = Field(
        default=None, description="Tokens of prompts and answers in a minute."
    )
    tokens_per_day: Annotated[Limit | None, Unit("tokens per day")] = Field(
        default=None, description="Tokens of prompts and answers in a day."
    )
    in_flight: Annotated[Limit | None, Unit("requests")] = Field(
        default=None, description="Requests at once."
    )
    fan_out: Annotated[Limit | None, Unit("requests")] = Field(
        default=None, description="Requests to engines that one request may cause."
    )

    @model_validator(mode="after")
    def _long_enough(self) -> StaticKey:
        if len(self.key.get_secret_value()) < MIN_KEY:
            raise ValueError(f"key: {MIN_KEY} characters at least, or a SHA-256 in hex")
        return self

    @property
    def digest(self) -> str:
        """The key's SHA-256 in hex."""
        key = self.key.get_secret_value()
        if re.fullmatch("[0-9a-f]{64}", key):
            return key
        return hashlib.sha256(key.encode()).hexdigest()

    def named(self, name: str) -> ApiKey:
        """The key as the gateway knows it."""
        return ApiKey(
            name=name,
            digest=self.digest,
            created=0.0,
            scope=Scope(
                models=None if self.models is None else frozenset(self.models),
                tiers=None if self.tiers is None else frozenset(self.tiers),
                ways=None if self.ways is None else frozenset(self.ways),
                privacy=None if self.privacy is None else frozenset(self.privacy),
            ),
            quotas=Quotas(
                requests_per_min=self.requests_per_min,
                tokens_per_min=self.tokens_per_min,
                tokens_per_day=self.tokens_per_day,
                in_flight=self.in_flight,
                fan_out=self.fan_out,
            ),
        )


class KeySettings(Group):
    """Callers' keys, their scopes and quotas; see docs/keys.md."""

    required: bool | Literal["auto"] = Field(
        default="auto",
        description="Whether callers must show a key. `auto`: once there is one. A gateway that "
        "listens beyond loopback starts with keys, or with `false`, which lets everybody in.",
    )
    static: dict[KeyName, StaticKey] = Field(
        default={}, description="Keys by name, beside those that operators make."
    )

    file: str | None = Field(
        default=None,
        description="A file of keys that operators make or edit; it is read again when it changes. "
        "Where replicas share Redis they keep keys there instead.",
    )

    @model_validator(mode="after")
    def _different(self) -> KeySettings:
        if len({key.digest for key in self.static.values()}) != len(self.static):
            raise ValueError("static: two names have the same key; give each its own")
        return self

    @property
    def fixed(self) -> tuple[ApiKey, ...]:
        """The keys of the settings."""
        return tuple(key.named(name) for name, key in self.static.items())
