"""Settings: what the gateway can be configured with, each with its default, unit and meaning.

A YAML file (`--config`) gives the values, and `TIERFLOW_GATEWAY_*` variables go over it, with `__`
between levels: TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S=30. Nothing else of the gateway's process reads
the environment or the file. Imports core, errors and the names and limits of protocol.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from gateway.protocol.configuration.variables import SETTINGS_PREFIX
from gateway.settings.access.admin import Admin
from gateway.settings.access.keys import KeySettings
from gateway.settings.bounds import Ejection, RequestLimits, Retries, Scrape, Timeouts
from gateway.settings.checks.contradictions import contradictions
from gateway.settings.checks.moved import refuse_moved
from gateway.settings.checks.names import wrong_names
from gateway.settings.checks.problems import WrongSettings, explain
from gateway.settings.checks.variables import check_variables
from gateway.settings.connections import ConnectionSettings
from gateway.settings.continuation import ContinuationSettings
from gateway.settings.devices import DeviceSettings
from gateway.settings.group import Group
from gateway.settings.lifecycle import LifecycleSettings
from gateway.settings.listen import Listen, Operations
from gateway.settings.pools import Discovery, Pool
from gateway.settings.predictions import PredictionSettings
from gateway.settings.privacy import PrivacySettings
from gateway.settings.resumable import ResumableSettings
from gateway.settings.shipped import shipped_profiles
from gateway.settings.sources import file_text, values_of
from gateway.settings.state import StateSettings
from gateway.settings.virtual_models.cascade import CascadeSettings
from gateway.settings.virtual_models.chains import ChainSettings
from gateway.settings.virtual_models.collective import CollectiveSettings
from gateway.settings.virtual_models.prices import PriceSettings

ENV_PREFIX = SETTINGS_PREFIX
__all__ = ["ENV_PREFIX", "Settings", "settings_problems", "shipped_profiles"]


class Settings(Group):
    """All settings of the gateway. `load` and `parse` raise WrongSettings when one can't work."""

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
    predictions: PredictionSettings = PredictionSettings()
    devices: DeviceSettings = DeviceSettings()
    collective: CollectiveSettings = CollectiveSettings()
    prices: PriceSettings = PriceSettings()
    privacy: PrivacySettings = PrivacySettings()
    operations: Operations = Operations()
    admin: Admin = Admin()
    keys: KeySettings = KeySettings()
    state: StateSettings = StateSettings()
    cascade: CascadeSettings = CascadeSettings()
    chains: ChainSettings = ChainSettings()
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
    def load(cls, config: Path | None) -> Settings:
        """Read the file (if any) and the environment of the process."""
        if config is None:
            return cls.parse("{}", os.environ)
        return cls.parse(file_text(config), os.environ, f"config file {config}")

    @classmethod
    def parse(
        cls, text: str | bytes, environ: Mapping[str, str], source: str = "the settings"
    ) -> Settings:
        """From the text of a file, with the variables in `environ` over it. `source` names the
        text in sentences. Nothing is started, and no file is read."""
        check_variables(environ, cls)
        values = values_of(text, environ, cls, source)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            raise WrongSettings(explain(error, cls)) from error
        settings = settings.model_copy(update={"profiles": shipped_profiles() | settings.profiles})
        if problems := [*contradictions(settings), *wrong_names(settings)]:
            raise WrongSettings(problems)
        return settings


def settings_problems(text: str | bytes, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong with a configuration, a sentence for each setting; () where it can work.

    `text` is the YAML of a file, `environ` the variables over it. Those of a kind are told at once:
    first unknown variables, then YAML that can't be read, then wrong values, then names that name
    nothing. What only the machine that starts the gateway can tell, such as whether a file is
    there, is not judged.
    """
    try:
        Settings.parse(text, environ)
    except WrongSettings as wrong:
        return wrong.problems
    return ()
