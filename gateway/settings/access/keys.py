"""Callers' keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, field_validator, model_validator

from gateway.core.access.claims import TrustedProxy
from gateway.core.access.key import ApiKey, Quotas, Scope, TierName, Way
from gateway.core.privacy import Privacy
from gateway.protocol.headers import HIGHEST_PRIORITY, LOWEST_PRIORITY, NORMAL_PRIORITY
from gateway.protocol.keys import KeyName, Limit, ModelName
from gateway.settings.checks.addresses import check_url
from gateway.settings.group import Group, Unit
from gateway.settings.values import BearerToken, secret_digest

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""Those with a public key: a shared secret could be the public key itself."""
MIN_KEY = 24
"""Characters of a key that is given as it is."""


class QuotaSettings(Group):
    """How much a caller may use."""

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

    @property
    def quotas(self) -> Quotas:
        return Quotas(
            requests_per_min=self.requests_per_min,
            tokens_per_min=self.tokens_per_min,
            tokens_per_day=self.tokens_per_day,
            in_flight=self.in_flight,
            fan_out=self.fan_out,
        )


class StaticKey(QuotaSettings):
    """A caller's key in the settings, with what it is for and how much it may be used."""

    key: BearerToken = Field(
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

    @model_validator(mode="after")
    def _long_enough(self) -> StaticKey:
        if len(self.key.get_secret_value()) < MIN_KEY:
            raise ValueError(f"key: {MIN_KEY} characters at least, or a SHA-256 in hex")
        return self

    @property
    def digest(self) -> str:
        """The key's SHA-256 in hex."""
        return secret_digest(self.key)

    def named(self, name: str) -> ApiKey:
        """The key as the gateway knows it."""
        return ApiKey(
            name=name,
            digest=self.digest,
            created=0.0,
            scope=Scope.of(
                models=self.models, tiers=self.tiers, ways=self.ways, privacy=self.privacy
            ),
            quotas=self.quotas,
        )


class IssuerSettings(QuotaSettings):
    """An issuer of JSON Web Tokens whose callers come in with them, each with these quotas."""

    issuer: str = Field(min_length=1, description="Its name in the claim `iss`.")
    audience: str = Field(min_length=1, description="What `aud` must hold.")
    jwks_url: str | None = Field(
        default=None,
        pattern="^https?://",
        description="The http:// or https:// URL where its public keys are fetched.",
    )
    jwks_file: Path | None = Field(
        default=None, description="A file with its public keys, in place of `jwks_url`."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "ES256"), min_length=1, description="The algorithms it signs with."
    )
    name_claim: str = Field(default="sub", description="The claim that says who calls.")
    scope_claims: dict[Literal["models", "tiers", "ways", "privacy"], str] = Field(
        default={},
        description="The claim that lists what a caller may use, for each of models, tiers, ways "
        "and privacy that is to be bounded so. A token without that claim is for none.",
    )

    @field_validator("jwks_url")
    @classmethod
    def _a_url(cls, url: str | None) -> str | None:
        if url is not None:
            check_url(url)
        return url

    @model_validator(mode="after")
    def _one_source(self) -> IssuerSettings:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("jwks_url: give it, or jwks_file, and not both")
        return self


class ProxySettings(QuotaSettings):
    """A proxy before the gateway whose word is taken for who calls, each with these quotas."""

    networks: tuple[IPvAnyNetwork, ...] = Field(
        min_length=1, description="The addresses that it asks from, such as 10.0.3.0/24."
    )
    header: str = Field(
        default="x-forwarded-user",
        pattern="^[A-Za-z0-9-]{1,64}$",
        description="The header that names the caller. The proxy must strip it from what callers "
        "send.",
    )

    @property
    def trusted(self) -> TrustedProxy:
        return TrustedProxy(
            networks=self.networks, header=self.header.lower().encode(), quotas=self.quotas
        )


class KeySettings(Group):
    """Callers' keys, their scopes and quotas; see docs/keys.md."""

    required: Annotated[bool | Literal["auto"], Unit("true, false or `auto`")] = Field(
        default="auto",
        description="Whether callers must show a key. `auto`: once one was made, where `file` is "
        "set or `issuers` or `proxy` say who calls, until Redis has told whether there are keys, "
        "and beyond loopback always. A gateway that listens beyond loopback starts with keys, "
        "`issuers`, a `proxy`, or `true`, by which operators can make the first key; or with "
        "`false`, which lets everybody in.",
    )
    static: dict[KeyName, StaticKey] = Field(
        default={}, description="Keys by name, beside those that operators make."
    )

    file: str | None = Field(
        default=None,
        description="A file of keys that operators make or edit; it is read again when it changes. "
        "Where replicas share Redis they keep keys there instead.",
    )

    max_priority: Annotated[int, Unit("priority")] = Field(
        default=NORMAL_PRIORITY,
        ge=LOWEST_PRIORITY,
        le=HIGHEST_PRIORITY,
        description="The highest `x-tierflow-priority` that callers with a key may ask for, from 0 "
        "to 9. A higher one is served first, whoever waits.",
    )
    issuers: dict[KeyName, IssuerSettings] = Field(
        default={}, description="Issuers of tokens by a name for logs and metrics."
    )
    proxy: ProxySettings | None = None

    @model_validator(mode="after")
    def _known_issuers(self) -> KeySettings:
        if len({each.issuer for each in self.issuers.values()}) != len(self.issuers):
            raise ValueError("issuers: two have the same `issuer`; list it once")
        return self

    @model_validator(mode="after")
    def _different(self) -> KeySettings:
        if len({key.digest for key in self.static.values()}) != len(self.static):
            raise ValueError("static: two names have the same key; give each its own")
        return self

    @property
    def vouched(self) -> bool:
        """Whether others than this gateway say who calls."""
        return bool(self.issuers) or self.proxy is not None

    @property
    def fixed(self) -> tuple[ApiKey, ...]:
        """The keys of the settings."""
        return tuple(key.named(name) for name, key in self.static.items())
