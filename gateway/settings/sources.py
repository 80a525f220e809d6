"""Where the settings' values come from: the text of a YAML file, and variables that go over it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError
from pydantic_settings.sources.utils import parse_env_vars

from gateway.protocol.configuration.strict_yaml import RepeatedKeys, read_yaml, yaml_problem
from gateway.protocol.configuration.variables import SETTINGS_PREFIX
from gateway.settings.checks.problems import WrongSettings
from gateway.settings.checks.variables import DELIMITER

MAX_BYTES = 8 * 1024 * 1024
"""Of a file of settings."""


def file_text(path: Path) -> bytes:
    """Raises WrongSettings for a file that can't be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WrongSettings([f"config file {path}: {error.strerror}"]) from error
    if len(data) > MAX_BYTES:
        raise WrongSettings([f"config file {path} has more than {MAX_BYTES} bytes"])
    return data


def values_of(
    text: str | bytes, environ: Mapping[str, str], settings: type[BaseModel], source: str
) -> dict[str, Any]:
    """The values by name, group in group. Raises WrongSettings, in whose words `source` names the
    text."""
    return _over(_in_text(text, source), variables_of(environ, settings))


def _in_text(text: str | bytes, source: str) -> dict[str, Any]:
    try:
        values = read_yaml(text)
    except RepeatedKeys as error:
        raise WrongSettings([f"{source}: {each}" for each in error.keys]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise WrongSettings([f"{source} is not valid YAML: {yaml_problem(error)}"]) from error
    except RecursionError as error:
        raise WrongSettings([f"{source} is nested too deep"]) from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise WrongSettings([f"{source}: expected settings by name at the top level"])
    return values


def variables_of(environ: Mapping[str, str], settings: type[BaseModel]) -> dict[str, Any]:
    """What the variables give, group in group, as text where no JSON has to be. Raises
    WrongSettings."""
    try:
        return Variables(environ, settings)()
    except SettingsError as error:
        raise WrongSettings([_no_json(error)]) from error
    except RecursionError as error:
        raise WrongSettings(["a variable holds JSON that is nested too deep"]) from error


class Variables(EnvSettingsSource):
    """The variables of `environ` as settings, whatever the process has."""

    def __init__(self, environ: Mapping[str, str], settings: type[BaseModel]) -> None:
        super().__init__(
            cast("type[BaseSettings]", settings),
            env_prefix=SETTINGS_PREFIX,
            env_nested_delimiter=DELIMITER,
        )
        self.env_vars = parse_env_vars(environ)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Raises ValueError, for a name that stands twice in an object as well."""
        return json.loads(value, object_pairs_hook=_once)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise _RepeatedName(min(twice))
    return dict(pairs)


class _RepeatedName(ValueError):
    """A name that stands twice in an object of JSON."""


def _no_json(error: SettingsError) -> str:
    """For a variable of a list or map. The value stays out: it might be a secret."""
    named = re.search(r'field "(\w+)"', str(error))
    variable = SETTINGS_PREFIX + (named[1].upper() if named else "*")
    if isinstance(error.__cause__, _RepeatedName):
        return f"{variable}: {error.__cause__} stands twice in one object; keep one"
    return f'{variable}: lists and maps are written as JSON in a variable, such as ["a", "b"]'


def _over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The groups of `above` over those of the same name."""
    merged = dict(below)
    for name, value in above.items():
        known = merged.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            merged[name] = _over(known, value)
        else:
            merged[name] = value
    return merged
