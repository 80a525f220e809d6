"""The environment's part of the settings: what it gives, by which variable, and whether each value
can work whatever the file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails

from gateway.protocol.configuration.variables import SETTINGS_PREFIX
from gateway.settings.checks.problems import WrongSettings, explain
from gateway.settings.checks.variables import DELIMITER, check_variables
from gateway.settings.sources import variables_of


@dataclass(frozen=True)
class EnvironmentSettings:
    """What an environment says of the settings. `values` are nested as in the file, `names` are the
    variables that begin as those of settings do, by their path in lower case."""

    values: Mapping[str, Any]
    names: Mapping[str, str]

    def variable(self, path: Sequence[str]) -> str:
        """The variable that gives the setting at this path: its own, or one of a group around it.
        Empty where none does."""
        given: Any = self.values
        for step in path:
            if not isinstance(given, Mapping) or step not in given:
                return ""
            given = given[step]
        around = (DELIMITER.join(path[:depth]).lower() for depth in range(len(path), 0, -1))
        return next((self.names[each] for each in around if each in self.names), "")


def environment_settings(
    environ: Mapping[str, str], settings: type[BaseModel]
) -> EnvironmentSettings:
    """Raises WrongSettings for names that are no settings, and for what is no JSON where it has to
    be."""
    check_variables(environ, settings)
    names = {
        name.lower().removeprefix(SETTINGS_PREFIX.lower()): name
        for name in environ
        if name.upper().startswith(SETTINGS_PREFIX)
    }
    return EnvironmentSettings(variables_of(environ, settings), names)


def check_environment(environ: Mapping[str, str], settings: type[BaseModel]) -> None:
    """Raises WrongSettings that names each value of the environment which no file can set right.
    What is missing beside a value, and what contradicts it, may be in the file."""
    given = environment_settings(environ, settings)
    try:
        settings.model_validate(dict(given.values))
    except ValidationError as error:
        wrong = [item for item in error.errors(include_url=False) if not _is_of_several(item)]
        if wrong:
            only = ValidationError.from_exception_data(
                error.title, cast(list[InitErrorDetails], wrong)
            )
            raise WrongSettings([_by_variables(explain(only, settings), wrong, given)]) from error


def _is_of_several(item: Mapping[str, Any]) -> bool:
    """Whether the problem is one of a value among others, which the file may have."""
    return item["type"] == "missing" or isinstance(item["input"], dict | BaseModel)


def _by_variables(
    problems: Sequence[str], wrong: Sequence[Mapping[str, Any]], given: EnvironmentSettings
) -> str:
    """The sentences, with the variables whose values they are about before them."""
    paths = ([str(step) for step in item["loc"]] for item in wrong)
    named = (next(filter(None, map(given.variable, _around(path))), "") for path in paths)
    return f"{', '.join(dict.fromkeys(filter(None, named)))}: {'; '.join(problems)}"


def _around(path: Sequence[str]) -> list[Sequence[str]]:
    """The path and those around it, the innermost first."""
    return [path[:depth] for depth in range(len(path), 0, -1)]
