"""Settings: the only reader of the environment and of the config file.

A YAML file (`--config`) gives the values, and `TIERFLOW_GATEWAY_*` variables go over it, with `__`
between levels: TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S=30.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from gateway.core.types import Probe, Tier
from gateway.errors import ConfigError
from gateway.settings.admin import Admin
from gateway.settings.cascade import CascadeSettings
from gateway.settings.collective import CollectiveSettings
from gateway.settings.devices import DeviceSettings
from gateway.settings.group import Group
from gateway.settings.state import StateSettings

ENV_PREFIX = "TIERFLOW_GATEWAY_"
MIN_SECRET = 16
"""Characters of a mailbox's secret."""


class Listen(Group):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)


class Pool(Group):
    """Replicas of one model at one tier."""

    tier: Tier
    endpoints: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="base URLs, without /v1; none: found by discovery"
    )
    probe: Probe = Field(
        default=Probe.ENGINE, description="engine, or for other servers models or answers"
    )
    models: tuple[str, ...] = Field(
        default=(), description="what it serves, where that must be known before it is seen"
    )
    hold_s: float = Field(
        default=0.0, ge=0, description="how long requests wait while it has no endpoint"
    )
    profile: str = "default"
    saturation_queue: int = Field(
        default=8, ge=1, description="waiting requests from which on other tiers are preferred"
    )
    max_in_flight: int = Field(default=512, ge=1, description="per endpoint")
    api_key: SecretStr | None = Field(default=None, description="what the engines ask for")
    mailboxes: tuple[str, ...] = Field(
        default=(), description="host:port that takes drafts, one per endpoint in their order"
    )
    mailbox_secret: SecretStr | None = Field(
        default=None, description="TIERFLOW_DRAFT_SECRET of the engines"
    )

    @field_validator("endpoints")
    @classmethod
    def _urls(cls, urls: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for url in urls or ():
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{url!r} is not an http:// or https:// URL")
        return None if urls is None else tuple(url.rstrip("/") for url in urls)

    @field_validator("mailboxes")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            host, _, port = address.rpartition(":")
            if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(f"{address!r} is not host:port, such as 127.0.0.1:9301")
        return addresses

    @model_validator(mode="after")
    def _drafts(self) -> Pool:
        secret, endpoints = self.mailbox_secret, self.endpoints or ()
        if self.mailboxes and len(self.mailboxes) != len(endpoints):
            raise ValueError(
                f"mailboxes: {len(self.mailboxes)} for {len(endpoints)} endpoints; "
                "give one per endpoint, in their order"
            )
        if self.mailboxes and secret is None:
            raise ValueError("mailbox_secret: mailboxes need it; set the engines' own")
        _long_enough(secret)
        return self

    @model_validator(mode="after")
    def _named(self) -> Pool:
        if self.probe is Probe.ANSWERS and not self.models:
            raise ValueError("models: name them; probe answers does not ask for them")
        if self.probe is Probe.ANSWERS and self.endpoints is None:
            raise ValueError("probe: answers is for listed endpoints; found ones say their models")
        return self


class Discovery(Group):
    """Where engines are found in Kubernetes; see docs/gateway.md."""

    namespaces: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="to watch; none: the one that this runs in"
    )
    selector: dict[str, str] = Field(
        default={"app.kubernetes.io/part-of": "tierflow"},
        description="labels that EndpointSlices must carry beside tierflow.dev/pool and /tier",
    )
    resync_s: float = Field(default=300.0, ge=1, description="until all are listed anew")
    kubeconfig: str | None = Field(
        default=None, description="a file; none: the pod's own service account"
    )
    http_port: str = Field(default="http", description="its name in the EndpointSlices")
    drafts_port: str = Field(default="drafts", description="likewise, where drafts are taken")
    api_key: SecretStr | None = Field(default=None, description="what the engines ask for")
    mailbox_secret: SecretStr | None = Field(
        default=None, description="TIERFLOW_DRAFT_SECRET of the engines; none: no drafts to them"
    )

    @model_validator(mode="after")
    def _drafts(self) -> Discovery:
        _long_enough(self.mailbox_secret)
        return self


def _long_enough(secret: SecretStr | None) -> None:
    if secret is not None and len(secret.get_secret_value()) < MIN_SECRET:
        raise ValueError(f"mailbox_secret: {MIN_SECRET} characters at least")


class Timeouts(Group):
    """Seconds. Every wait has one."""

    connect_s: float = Field(default=2.0, gt=0)
    first_token_s: float = Field(default=60.0, gt=0, description="streams: until the first bytes")
    idle_s: float = Field(default=30.0, gt=0, description="streams: between two pieces")
    answer_s: float = Field(default=600.0, gt=0, description="answers in one piece")
    body_s: float = Field(default=30.0, gt=0, description="for the caller's whole body")


class Scrape(Group):
    interval_s: float = Field(default=1.0, gt=0)
    timeout_s: float = Field(default=5.0, gt=0)
    failures: int = Field(default=3, ge=1, description="failed scrapes until out of rotation")


class RequestLimits(Group):
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    max_in_flight: int = Field(default=4096, ge=1)
    max_queue: int = Field(default=1024, ge=0)
    max_wait_s: float = Field(default=10.0, gt=0, description="in the gateway's own queue")


class Retries(Group):
    max_attempts: int = Field(default=3, ge=1)
    ratio: float = Field(default=0.2, ge=0, le=1, description="retries per request, long run")


class Settings(BaseSettings):
    """Everything that can be set. Raises ConfigError from `load` when a value can't work."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__"
    )

    listen: Listen = Listen()
    pools: dict[str, Pool] = {}
    discovery: Discovery | None = None
    family: tuple[str, ...] = Field(default=(), description="model names, smallest first")
    profiles: dict[str, dict[str, Any]] = {}
    timeouts: Timeouts = Timeouts()
    scrape: Scrape = Scrape()
    limits: RequestLimits = RequestLimits()
    retries: Retries = Retries()
    devices: DeviceSettings = DeviceSettings()
    collective: CollectiveSettings = CollectiveSettings()
    admin: Admin = Admin()
    state: StateSettings = StateSettings()
    cascade: CascadeSettings = CascadeSettings()
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")

    @model_validator(mode="after")
    def _somewhere_to_go(self) -> Settings:
        if self.discovery is None:
            if not self.pools:
                raise ValueError("pools: list one at least, or set discovery to find them")
            for name, pool in self.pools.items():
                if pool.endpoints is None:
                    raise ValueError(
                        f"pools.{name}.endpoints: list them, or set discovery to find them"
                    )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return EnvSettingsSource(settings_cls), init_settings

    @classmethod
    def load(cls, config: Path | None) -> Settings:
        """Read the file (if any) and the environment."""
        values = _read_yaml(config) if config else {}
        try:
            settings = cls(**values)
        except ValidationError as error:
            raise ConfigError(_explain(error)) from error
        return settings.model_copy(update={"profiles": shipped_profiles() | settings.profiles})


def shipped_profiles() -> dict[str, dict[str, Any]]:
    text = resources.files("gateway.core.routing").joinpath("profiles.yaml").read_text()
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return loaded


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"config file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"config file {path} is not valid YAML: {problem}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config file {path}: expected settings by name at the top level")
    return values


def _explain(error: ValidationError) -> str:
    """One line that names each setting that is wrong. Values stay out: one might be a secret."""
    parts = []
    for item in error.errors(include_input=False, include_url=False):
        message = item["msg"].removeprefix("Value error, ")
        name = ".".join(str(part) for part in item["loc"])
        # What concerns several settings names them itself.
        parts.append(f"{name}: {message}" if name else message)
    return "; ".join(parts)
