"""Settings: what the gateway can be configured with, each with its default, unit and meaning.

A YAML file (`--config`) gives the values, and `TIERFLOW_GATEWAY_*` variables go over it, with `__`
between levels: TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S=30. Nothing else of the gateway's process reads
the environment or the file. Imports core, errors and the names and limits of protocol.
"""

from __future__ import annotations

import re
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
    SettingsError,
)

from gateway.core.types import Probe, Tier
from gateway.errors import ConfigError
from gateway.settings.admin import Admin
from gateway.settings.cascade import CascadeSettings
from gateway.settings.collective import CollectiveSettings
from gateway.settings.continuation import ContinuationSettings
from gateway.settings.devices import DeviceSettings
from gateway.settings.group import Group, Unit
from gateway.settings.lifecycle import LifecycleSettings
from gateway.settings.moved import refuse_moved
from gateway.settings.prices import PriceSettings
from gateway.settings.problems import explain
from gateway.settings.resumable import ResumableSettings
from gateway.settings.state import StateSettings

ENV_PREFIX = "TIERFLOW_GATEWAY_"
MIN_SECRET = 16
"""Characters of a mailbox's secret."""


class Listen(Group):
    """The address at which the gateway serves its API."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Unit("port")] = Field(
        default=8080, ge=0, le=65535, description="The port; 0 takes a free one."
    )


class Pool(Group):
    """A pool: the replicas of one model at one tier."""

    tier: Tier = Field(description="The tier of the pool.")
    endpoints: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Base URLs of the replicas, without /v1; default: those that discovery finds.",
    )
    probe: Probe = Field(
        default=Probe.ENGINE,
        description="The way to look at replicas: `engine` for vLLM, `models` or `answers` for "
        "other servers.",
    )
    models: tuple[str, ...] = Field(
        default=(),
        description="Names of served models that must be known before a replica was seen.",
    )
    hold_s: float = Field(
        default=0.0,
        ge=0,
        description="How long requests wait while the pool has no healthy endpoint.",
    )
    profile: str = Field(default="default", description="The routing profile.")
    saturation_queue: Annotated[int, Unit("requests")] = Field(
        default=8,
        ge=1,
        description="An endpoint at which this many requests wait is saturated: other tiers are "
        "preferred.",
    )
    max_in_flight: Annotated[int, Unit("requests")] = Field(
        default=512, ge=1, description="Requests of this gateway at one endpoint at once."
    )
    api_key: SecretStr | None = Field(default=None, description="The bearer token for the engines.")
    mailboxes: tuple[str, ...] = Field(
        default=(),
        description="Addresses that accept drafts, `host:port`, one for each endpoint in order.",
    )
    mailbox_secret: SecretStr | None = Field(
        default=None,
        description="The engines' `TIERFLOW_DRAFT_SECRET`, at least 16 characters.",
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
            raise ValueError("mailbox_secret: set it to the engines' own; `mailboxes` need it")
        _long_enough(secret)
        return self

    @model_validator(mode="after")
    def _named(self) -> Pool:
        if self.probe is Probe.ANSWERS and not self.models:
            raise ValueError(
                "models: list what the pool serves; `probe: answers` does not ask for it"
            )
        if self.probe is Probe.ANSWERS and self.endpoints is None:
            raise ValueError(
                "probe: `answers` needs a list of `endpoints`; give `models` or `engine` for those "
                "that discovery finds"
            )
        return self


class Discovery(Group):
    """Discovery of engines in Kubernetes; `discovery: {}` turns it on; see docs/gateway.md."""

    namespaces: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Namespaces to watch; default: the gateway's own."
    )
    selector: dict[str, str] = Field(
        default={"app.kubernetes.io/part-of": "tierflow"},
        description="Labels that EndpointSlices must carry beside tierflow.dev/pool and /tier.",
    )
    resync_s: float = Field(
        default=300.0, ge=1, description="The interval at which all EndpointSlices are listed anew."
    )
    kubeconfig: str | None = Field(
        default=None, description="A kubeconfig file; default: the pod's service account."
    )
    http_port: str = Field(
        default="http", description="The name of the engines' HTTP port in EndpointSlices."
    )
    drafts_port: str = Field(
        default="drafts", description="The name of the port that accepts drafts."
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="The bearer token for engines that are found; a pool's own replaces it.",
    )
    mailbox_secret: SecretStr | None = Field(
        default=None,
        description="The `TIERFLOW_DRAFT_SECRET` of engines that are found. Without it they get no "
        "drafts.",
    )

    @model_validator(mode="after")
    def _drafts(self) -> Discovery:
        _long_enough(self.mailbox_secret)
        return self


def _long_enough(secret: SecretStr | None) -> None:
    if secret is not None and len(secret.get_secret_value()) < MIN_SECRET:
        raise ValueError(f"mailbox_secret: {MIN_SECRET} characters at least")


class Timeouts(Group):
    """The longest waits for engines and callers."""

    connect_s: float = Field(default=2.0, gt=0, description="The wait for a new connection.")
    first_token_s: float = Field(
        default=60.0, gt=0, description="The wait for the first bytes of a stream."
    )
    idle_s: float = Field(
        default=30.0,
        gt=0,
        description="The wait between two pieces of a stream, and for a caller that stops reading.",
    )
    answer_s: float = Field(
        default=600.0, gt=0, description="The wait for an answer that is not streamed."
    )
    body_s: float = Field(default=30.0, gt=0, description="The wait for the caller's whole body.")
    usual_factor: Annotated[float, Unit("times")] = Field(
        default=5.0,
        ge=0,
        description="An endpoint that has sent nothing to anybody for so many times the longest "
        "wait that is usual there counts as stuck, and requests that wait there for their first "
        "token move to another one. The other timeouts are never exceeded. 0: only they hold.",
    )
    usual_floor_s: float = Field(
        default=3.0, gt=0, description="The least silence for which an endpoint counts as stuck."
    )


class Ejection(Group):
    """Outlier ejection: an endpoint whose requests fail gets none for a while; see
    docs/gateway.md."""

    consecutive_failures: Annotated[int, Unit("failures")] = Field(
        default=3,
        ge=1,
        description="Failed requests in a row after which an endpoint is ejected.",
    )
    failure_share: Annotated[float, Unit("share")] = Field(
        default=0.5,
        gt=0,
        le=1,
        description="The share of failed requests from which on an endpoint is ejected.",
    )
    min_requests: Annotated[int, Unit("requests")] = Field(
        default=10, ge=1, description="Requests within the window below which no share counts."
    )
    window_s: float = Field(
        default=10.0,
        gt=0,
        description="The time after which a request counts for 1/e in the share.",
    )
    first_pause_s: float = Field(
        default=2.0,
        gt=0,
        description="The longest first pause; each further one is up to twice as long.",
    )
    longest_pause_s: float = Field(
        default=60.0,
        gt=0,
        description="The longest pause. An endpoint that has been well for as long begins anew.",
    )
    slow_start_s: float = Field(
        default=10.0,
        ge=0,
        description="The time over which an endpoint that returns gets its full share of the "
        "requests.",
    )


class Scrape(Group):
    """The regular look at each engine's health, models and load."""

    interval_s: float = Field(default=1.0, gt=0, description="The time between two looks.")
    timeout_s: float = Field(default=5.0, gt=0, description="The wait for one look.")
    failures: Annotated[int, Unit("failures")] = Field(
        default=3,
        ge=1,
        description="Failed looks in a row until an endpoint gets no requests. One that refuses "
        "connections gets none at once.",
    )


class RequestLimits(Group):
    """Limits of requests, and of the gateway's admission."""

    max_body_bytes: int = Field(
        default=32 * 1024 * 1024, ge=1024, description="The size of a request's body."
    )
    max_bodies_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1024,
        description="The bodies of all requests in memory at once. A request whose body finds no "
        "room gets 429.",
    )
    max_in_flight: Annotated[int, Unit("requests")] = Field(
        default=4096, ge=1, description="Requests inside the gateway at once."
    )
    max_queue: Annotated[int, Unit("requests")] = Field(
        default=1024,
        ge=0,
        description="Requests that wait for admission at once, and those that wait for a pool.",
    )
    max_wait_s: float = Field(default=10.0, gt=0, description="The longest wait for admission.")

    @model_validator(mode="after")
    def _room_for_one(self) -> RequestLimits:
        if self.max_bodies_bytes < self.max_body_bytes:
            raise ValueError(
                f"max_bodies_bytes: has no room for one body of max_body_bytes "
                f"({self.max_body_bytes}); raise it, or lower max_body_bytes"
            )
        return self


class Retries(Group):
    """The budget of retries."""

    max_attempts: Annotated[int, Unit("attempts")] = Field(
        default=3, ge=1, description="Attempts of one request that reach an engine."
    )
    ratio: Annotated[float, Unit("share")] = Field(
        default=0.2, ge=0, le=1, description="Retries as a share of all requests, in the long run."
    )


class Settings(BaseSettings):
    """All settings of the gateway. `load` raises ConfigError when a value can't work."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__"
    )

    listen: Listen = Listen()
    pools: dict[str, Pool] = Field(default={}, description="The pools, by name.")
    discovery: Discovery | None = None
    family: tuple[str, ...] = Field(default=(), description="The family's models, smallest first.")
    profiles: dict[str, dict[str, Any]] = Field(
        default={}, description="Routing profiles by name, beside the shipped ones."
    )
    timeouts: Timeouts = Timeouts()
    scrape: Scrape = Scrape()
    limits: RequestLimits = RequestLimits()
    retries: Retries = Retries()
    ejection: Ejection = Ejection()
    resumable: ResumableSettings = ResumableSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    continuation: ContinuationSettings = ContinuationSettings()
    devices: DeviceSettings = DeviceSettings()
    collective: CollectiveSettings = CollectiveSettings()
    prices: PriceSettings = PriceSettings()
    admin: Admin = Admin()
    state: StateSettings = StateSettings()
    cascade: CascadeSettings = CascadeSettings()
    log_level: str = Field(
        default="info",
        pattern="^(debug|info|warning|error)$",
        description="The least level that is logged: debug, info, warning or error.",
    )

    @model_validator(mode="before")
    @classmethod
    def _none_moved(cls, values: dict[str, Any]) -> dict[str, Any]:
        refuse_moved(values)
        return values

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
            raise ConfigError(explain(error, cls)) from error
        except SettingsError as error:
            raise ConfigError(_no_json(error)) from error
        return settings.model_copy(update={"profiles": shipped_profiles() | settings.profiles})


def shipped_profiles() -> dict[str, dict[str, Any]]:
    text = resources.files("gateway.core.routing").joinpath("profiles.yaml").read_text()
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return loaded


def _no_json(error: SettingsError) -> str:
    """For a variable of a list or map. The value stays out: it might be a secret."""
    named = re.search(r'field "(\w+)"', str(error))
    variable = ENV_PREFIX + (named[1].upper() if named else "*")
    return f'{variable}: lists and maps are written as JSON in a variable, such as ["a", "b"]'


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
