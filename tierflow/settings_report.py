"""Every setting as it holds: its value, where that comes from, its default, unit and meaning."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from deploy.local.components import GATEWAY_CONFIG
from deploy.local.settings import own_settings
from deploy.local.variables import BASES, VARIABLES, Variable
from deploy.reference.settings import Setting, default, sections, unit
from gateway.errors import ConfigError
from gateway.protocol.nearest import nearest
from gateway.settings import ENV_PREFIX, Settings
from gateway.settings.checks.environment import (
    EnvironmentSettings,
    check_environment,
    environment_settings,
)
from tierflow.local import folder
from tierflow.settings_example import plain

DEFAULT, HIDDEN, NONE = "default", "(set; a secret)", "none"
DEVICES = "TIERFLOW_DEVICES"
_NAME = "<name>"


@dataclass(frozen=True, kw_only=True)
class SettingRow:
    """A setting. `origin`: `default`, the variable, or the file that gives its value. `changed`:
    whether that is another one than the default."""

    name: str
    value: str
    origin: str
    default: str
    unit: str
    meaning: str
    variable: str
    changed: bool


def local_rows() -> list[SettingRow]:
    """The variables of `tierflow up`. Raises SettingError for a value that it would refuse."""
    own_settings()
    rows = []
    for each in VARIABLES:
        value, source = _local_value(each)
        rows.append(
            SettingRow(
                name=each.name,
                value=value or NONE,
                origin=f"variable {source}" if source else DEFAULT,
                default=each.default or NONE,
                unit="",
                meaning=each.meaning,
                variable=each.name,
                changed=value != each.default,
            )
        )
    return rows


def _local_value(variable: Variable) -> tuple[str, str]:
    """Its value, and the variable that gives it; that is empty for the default."""
    given = os.environ.get(variable.name, "").strip()
    if given or (variable.name == DEVICES and DEVICES in os.environ):
        return given, variable.name
    base, usual = BASES.get(variable.name, ("", ""))
    if folder_of_all := os.environ.get(base, "").strip():
        below = Path(variable.default).relative_to(usual)
        return str(Path(folder_of_all) / below), base
    return variable.default, ""


def gateway_rows(config: Path | None) -> list[SettingRow]:
    """The gateway's settings, as this file and the environment give them; without one as those of
    the instance of this machine, where there is one. Raises ConfigError."""
    own = folder() / GATEWAY_CONFIG
    file = config or (own if own.is_file() else None)
    check_environment(os.environ, Settings)
    given = environment_settings(os.environ, Settings)
    settings = None if file is None else Settings.load(file)
    rows: list[SettingRow] = []
    for section in sections():
        for setting in section.settings:
            rows += _rows(setting, given.values if settings is None else settings, given, file)
    return rows


def names() -> list[str]:
    """Of all settings but those in maps and lists, and of their groups."""
    found = [each.name for each in VARIABLES]
    for section in sections():
        if section.path and "<" not in section.path and "[" not in section.path:
            found += [section.path, *(setting.path for setting in section.settings)]
    return found


def chosen(rows: Sequence[SettingRow], names: Sequence[str], *, changed: bool) -> list[SettingRow]:
    """Those whose names begin with one of `names`. Raises ConfigError for one that names none."""
    for name in names:
        if not any(_begins(row, name) for row in rows):
            raise ConfigError(f"no setting is called {name}{_hint(name, rows)}")
    return [
        row
        for row in rows
        if (not names or any(_begins(row, name) for name in names)) and (row.changed or not changed)
    ]


def _hint(name: str, rows: Sequence[SettingRow]) -> str:
    if inner := [row.name for row in rows if row.name.endswith(f".{name}")]:
        return f"; did you mean {' or '.join(inner[:3])}?"
    known = [row.name for row in rows] + [row.name.split(".")[0] for row in rows]
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def as_text(rows: Sequence[SettingRow]) -> str:
    """Two lines for each, and its meaning."""
    lines = []
    for row in rows:
        kind = f", {row.unit}" if row.unit else ""
        value = row.value.replace("\n", "\\n")
        lines.append(f"{row.name} = {value}    [{row.origin}; default: {row.default}{kind}]")
        lines += textwrap.wrap(row.meaning, 96, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def as_json(rows: Sequence[SettingRow]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2)


def _rows(
    setting: Setting, holder: object, given: EnvironmentSettings, file: Path | None
) -> Iterator[SettingRow]:
    for path, owner in _owners(setting.path.split("."), holder):
        variable = given.variable(path)
        is_set = bool(variable) or _has(owner, setting.name)
        usual = default(setting).replace("`", "")
        value = _typed(setting, _step(owner, setting.name)) if is_set else setting.field.default
        origin = f"variable {variable}" if variable else f"file {file}" if is_set else DEFAULT
        yield SettingRow(
            name=".".join(path),
            value=_shown(setting, value) if is_set else usual,
            origin=origin,
            default=usual,
            unit=unit(setting).replace("`", ""),
            meaning=setting.field.description or "",
            variable=setting.variable if setting.variable.startswith(ENV_PREFIX) else "",
            changed=is_set and value != setting.field.default,
        )


def _owners(path: Sequence[str], holder: object) -> Iterator[tuple[Sequence[str], object]]:
    """The groups that hold the setting: one for each name of a map on its way. `holder` has all
    settings, or is a map of those that the environment gives."""
    found: list[tuple[list[str], Any]] = [([], holder)]
    for step in path[:-1]:
        step = step.removesuffix("[]")
        if step == _NAME:
            found = [
                ([*way, name], group)
                for way, groups in found
                for name, group in (groups if isinstance(groups, Mapping) else {}).items()
            ]
        else:
            found = [([*way, step], _step(owner, step)) for way, owner in found]
    for way, owner in found:
        yield [*way, path[-1]], owner


def _step(owner: object, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)


def _has(owner: object, name: str) -> bool:
    """Whether the group was given this setting."""
    if isinstance(owner, BaseModel):
        return name in owner.model_fields_set
    return isinstance(owner, Mapping) and name in owner


def _typed(setting: Setting, value: object) -> Any:
    """The value as the setting's type has it, where a variable's text alone is there. Of a group
    that the file completes it stays as it is."""
    try:
        return TypeAdapter(cast(Any, setting.field.annotation)).validate_python(value)
    except ValidationError:
        return value


def _shown(setting: Setting, value: Any) -> str:
    if value is None or value in ("", (), {}):
        return NONE
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, Mapping) and _holds_groups(setting.shape):
        return ", ".join(value)
    shown = plain(value)
    if isinstance(shown, float) and shown.is_integer():
        shown = int(shown)
    return shown if isinstance(shown, str) else json.dumps(shown)


def _holds_groups(shape: Any) -> bool:
    return any(isinstance(each, type) and issubclass(each, BaseModel) for each in get_args(shape))


def _begins(row: SettingRow, name: str) -> bool:
    return row.name == name or row.name.startswith(f"{name}.") or row.variable == name
