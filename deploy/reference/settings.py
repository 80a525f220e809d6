"""The page of the gateway's settings: every leaf of `gateway.settings.Settings`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from deploy.reference.markdown import GENERATED, code, linked, paragraphs, table
from gateway.settings import ENV_PREFIX, Settings
from gateway.settings.group import Unit

UNITS = {"_s": "seconds", "_bytes": "bytes", "_chars": "characters", "_tokens": "tokens"}
"""Units by the end of a setting's name. Other numbers carry a `Unit`."""
KINDS = {
    str: "text",
    Path: "text",
    bool: "true or false",
    SecretStr: "secret",
    dict: "map",
    tuple: "list",
}
LONG = 100
"""Characters of a default; of a longer map only the names are shown."""

INTRODUCTION = """\
`python -m gateway --config gateway.yaml` reads these settings from a YAML file. Environment
variables replace what the file says; `__` stands between two levels. A wrong value, an unknown
setting or `TIERFLOW_` variable, a name that stands twice or names nothing, and settings that
contradict one another stop the start with exit code 2 and one line that names them and what was
meant; `tierflow settings --config gateway.yaml` says the same without a start. What Kubernetes sets
for Services whose names begin with `tierflow` is left alone.

Lists and maps are given as JSON in a variable. `<name>` in a variable is the name in capitals;
names that can't stand in a variable, such as those with a hyphen, are given as JSON one level
above."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting, as the page shows it. `field` has its description, default and bounds."""

    path: str
    variable: str
    shape: Any
    """The type, without None."""
    field: FieldInfo

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class SettingsSection:
    """A group of settings under its path; the outermost has none."""

    path: str
    sentence: str
    settings: tuple[Setting, ...]


def sections() -> Iterator[SettingsSection]:
    return _sections(Settings, "", ENV_PREFIX.removesuffix("_"))


def page() -> str:
    parts = ["# Settings of the gateway", GENERATED, INTRODUCTION]
    for section in sorted(sections(), key=lambda section: bool(section.path)):
        if section.path:
            parts += [f"## {code(section.path)}", section.sentence]
        parts.append(
            table(
                ("setting", "default", "unit or values", "meaning", "environment variable"),
                (_row(setting) for setting in section.settings),
            )
        )
    return paragraphs(*parts)


def unit(setting: Setting) -> str:
    """Raises LookupError for a number that has none, and for a kind that has no name here."""
    for mark in setting.field.metadata:
        if isinstance(mark, Unit):
            return mark.name
    return _kind(setting, setting.shape)


def _kind(setting: Setting, shape: Any) -> str:
    kind = get_origin(shape) or shape
    if kind is Union:
        return " or ".join(_kind(setting, member) for member in get_args(shape))
    if kind is Literal:
        return ", ".join(map(code, get_args(shape)))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(code(str(member.value)) for member in kind)
    if kind in (int, float):
        for ending, unit in UNITS.items():
            if setting.name.endswith(ending):
                return unit
        raise LookupError(f"{setting.path}: give it a Unit, or a name that ends in one")
    return KINDS[kind]


def default(setting: Setting) -> str:
    if setting.field.is_required():
        return "required"
    value = setting.field.default
    if value is None or value in ("", (), {}):
        return "none"
    shown = code(_text(value))
    if unit(setting) == "bytes":
        return f"{shown} ({_bytes(value)})"
    if unit(setting) == "seconds" and value >= 3600:
        return f"{shown} ({_long_time(value)})"
    return shown


def _sections(group: type[BaseModel], path: str, variable: str) -> Iterator[SettingsSection]:
    settings, below = [], []
    for name, field in group.model_fields.items():
        shape = _without_none(field.annotation)
        inner = f"{path}.{name}" if path else name
        inner_variable = f"{variable}{'__' if path else '_'}{name.upper()}"
        if _is_group(shape):
            below.append((shape, inner, inner_variable))
            continue
        settings.append(Setting(path=inner, variable=inner_variable, shape=shape, field=field))
        arguments = get_args(shape)
        if get_origin(shape) is dict and _is_group(arguments[1]):
            below.append((arguments[1], f"{inner}.<name>", f"{inner_variable}__<NAME>"))
        elif get_origin(shape) is tuple and _is_group(arguments[0]):
            below.append((arguments[0], f"{inner}[]", ""))
    if settings:
        yield SettingsSection(
            path, linked(" ".join((group.__doc__ or "").split())), tuple(settings)
        )
    for deeper in below:
        yield from _sections(*deeper)


def _row(setting: Setting) -> tuple[str, ...]:
    # What stands in a list has no variable of its own.
    variable = code(setting.variable) if setting.variable.startswith(ENV_PREFIX) else "in the list"
    meaning = linked(setting.field.description or "")
    return code(setting.path), default(setting), _unit_and_bounds(setting), meaning, variable


def _unit_and_bounds(setting: Setting) -> str:
    bounds = {
        name: getattr(mark, name)
        for mark in setting.field.metadata
        for name in ("ge", "gt", "le")
        if hasattr(mark, name)
    }
    if "le" not in bounds:
        return unit(setting)
    least = f"{_text(bounds['ge'])} to" if "ge" in bounds else f"above {_text(bounds['gt'])}, to"
    return f"{unit(setting)}, {least} {_text(bounds['le'])}"


def _without_none(shape: Any) -> Any:
    if get_origin(shape) is Annotated:
        return _without_none(get_args(shape)[0])
    if get_origin(shape) in (Union, UnionType):
        others = [_without_none(member) for member in get_args(shape) if member is not type(None)]
        return others[0] if len(others) == 1 else Union[tuple(others)]  # noqa: UP007
    return shape


def _is_group(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value.replace("\n", "\\n")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict | tuple):
        whole = json.dumps(_plain(value))
        return whole if len(whole) < LONG or isinstance(value, tuple) else ", ".join(value)
    return json.dumps(value)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    return value


def _bytes(value: int) -> str:
    return f"{value // 2**20} MiB" if value >= 2**20 else f"{value // 2**10} KiB"


def _long_time(seconds: float) -> str:
    days, hours = seconds / 86400, seconds / 3600
    return f"{days:g} d" if days >= 1 else f"{hours:g} h"
