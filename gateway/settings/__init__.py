"""Settings: what the gateway can be configured with, each with its default, unit and meaning.

A YAML file (`--config`) gives the values, and `TIERFLOW_GATEWAY_*` variables go over it, with `__`
between levels: TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S=30. Nothing else of the gateway's process reads
the environment or the file. Imports core, errors and the names and limits of protocol.
"""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from gateway.errors import ConfigError
from gateway.protocol.variables import SETTINGS_PREFIX
from gateway.settings.admin import Admin
from gateway.settings.bounds import Ejection, RequestLimits, Retries, Scrape, Timeouts
from gateway.settings.cascade import CascadeSettings
from gateway.settings.collective import CollectiveSettings
from gateway.settings.connections import ConnectionSettings
from gateway.settings.continuation import ContinuationSettings
from gateway.settings.devices import DeviceSettings
from gateway.settings.keys import KeySettings
from gateway.settings.lifecycle import LifecycleSettings
from gateway.settings.listen import Listen, Operations
from gateway.settings.moved import refuse_moved
from gateway.settings.names import check_names
from gateway.settings.pools import Discovery, Pool
from gateway.settings.prices import PriceSettings
from gateway.settings.privacy import PrivacySettings
from gateway.settings.problems import explain
from gateway.settings.resumable import ResumableSettings
from gateway.settings.state import StateSettings
from gateway.settings.variables import check_variables

ENV_PREFIX = SETTINGS_PREFIX


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
    connections: ConnectionSettings = ConnectionSettings()
    retries: Retries = Retries()
    ejection: Ejection = Ejection()
    resumable: ResumableSettings = ResumableSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    continuation: ContinuationSettings = ContinuationSettings()
    devices: DeviceSettings = DeviceSettings()
    collective: CollectiveSettings = CollectiveSettings()
    prices: PriceSettings = PriceSettings()
    privacy: PrivacySettings = PrivacySettings()
    operations: Operations = Operations()
    admin: Admin = Admin()
    keys: KeySettings = KeySettings()
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
    def _keys_in_one_place(self) -> Settings:
        if self.keys.file is not None and self.state.redis is not None:
            raise ValueError(
                "keys.file: take it out where state.redis is set: replicas keep their keys there"
            )
        return self

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
        check_variables(os.environ, cls)
        values = _read_yaml(config) if config else {}
        try:
            settings = cls(**values)
        except ValidationError as error:
            raise ConfigError(explain(error, cls)) from error
        except SettingsError as error:
            raise ConfigError(_no_json(error)) from error
        settings = settings.model_copy(update={"profiles": shipped_profiles() | settings.profiles})
        check_names(settings)
        return settings


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
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"config file {path} is not valid YAML: {problem}") from error
    except RecursionError as error:
        raise ConfigError(f"config file {path} is nested too deep") from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ConfigError(f"config file {path}: expected settings by name at the top level")
    return values
