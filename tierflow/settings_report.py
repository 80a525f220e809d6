"""Every setting as it holds: its value, where that comes from, its default, unit and meaning."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from deploy.local.components import GATEWAY_CONFIG
from deploy.local.variables import VARIABLES
from deploy.reference.settings import Setting, default, sections, unit
from gateway.errors import ConfigError
from gateway.protocol.nearest import nearest
from gateway.settings import ENV_PREFIX, Settings
from tierflow.local import folder
from tierflow.settings_example import plain

DEFAULT, HIDDEN, NONE = "default", "(set; a secret)", "none"
_NAME = "<name>"


@dataclass(frozen=True, kw_only=True)
class SettingRow:
    """A setting. `origin`: `default`, the variable, or the file that gives its value."""

    name: str
    value: str
    origin: str
    default: str
    unit: str
    meaning: str
    variable: str


def local_rows() -> list[SettingRow]:
    """The variables of `tierflow up`."""
    rows = []
    for each in VARIABLES:
        given = os.environ.get(each.name, "").strip()
        rows.append(
            SettingRow(
                name=each.name,
                value=given or each.default or NONE,
                origin=f"variable {each.name}" if given else DEFAULT,
                default=each.default or NONE,
                unit="",
                meaning=each.meaning,
                variable=each.name,
            )
        )
    return rows


def gateway_rows(config: Path | None) -> list[SettingRow]:
    """The gateway's settings, as this file and the environment give them; without one as those of
    the instance of this machine, where there is one. Raises ConfigError."""
    own = folder() / GATEWAY_CONFIG
    file = config or (own if own.is_file() else None)
    settings = None if file is None else Settings.load(file)
    rows: list[SettingRow] = []
    for section in sections():
        for setting in section.settings:
            rows += _rows(setting, settings, str(file))
    return rows


def chosen(rows: Sequence[SettingRow], names: Sequence[str], *, changed: bool) -> list[SettingRow]:
    """Those whose names begin with one of `names`. Raises ConfigError for one that names none."""
    for name in names:
        if not any(_begins(row, name) for row in rows):
            known = [row.name for row in rows] + [row.name.split(".")[0] for row in rows]
            near = nearest(name, known)
            hint = f"; did you mean {near}?" if near else ""
            raise ConfigError(f"no setting is called {name}{hint}")
    return [
        row
        for row in rows
        if (not names or any(_begins(row, name) for name in names))
        and not (changed and row.origin == DEFAULT)
    ]


def as_text(rows: Sequence[SettingRow]) -> str:
    """Two lines for each, and its meaning."""
    lines = []
    for row in rows:
        kind = f", {row.unit}" if row.unit else ""
        lines.append(f"{row.name} = {row.value}    [{row.origin}; default: {row.default}{kind}]")
        lines += textwrap.wrap(row.meaning, 96, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def as_json(rows: Sequence[SettingRow]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2)


def _rows(setting: Setting, settings: Settings | None, file: str) -> Iterator[SettingRow]:
    for path, owner in _owners(setting.path.split("."), settings):
        name = ".".join(path)
        variable = setting.variable if _NAME not in setting.path else ""
        origin = DEFAULT
        if owner is not None and setting.name in owner.model_fields_set:
            origin = f"variable {variable}" if _in_environment(variable) else f"file {file}"
        elif settings is None and _in_environment(variable):
            origin = f"variable {variable}"
        yield SettingRow(
            name=name,
            value=_value(setting, owner, variable),
            origin=origin,
            default=default(setting).strip("`"),
            unit=unit(setting).replace("`", ""),
            meaning=setting.field.description or "",
            variable=setting.variable if setting.variable.startswith(ENV_PREFIX) else "",
        )


def _owners(
    path: Sequence[str], settings: Settings | None
) -> Iterator[tuple[Sequence[str], BaseModel | None]]:
    """The groups that hold the setting: one for each name of a map on its way."""
    found: list[tuple[list[str], Any]] = [([], settings)]
    for step in path[:-1]:
        step = step.removesuffix("[]")
        if step == _NAME:
            found = [
                ([*way, name], group)
                for way, groups in found
                for name, group in (groups or {}).items()
            ]
        else:
            found = [([*way, step], getattr(owner, step, None)) for way, owner in found]
    for way, owner in found:
        yield [*way, path[-1]], owner if isinstance(owner, BaseModel) else None


def _value(setting: Setting, owner: BaseModel | None, variable: str) -> str:
    if owner is None:
        given = os.environ.get(variable, "")
        if given:
            return HIDDEN if setting.shape is SecretStr else given
        return default(setting).strip("`")
    value = getattr(owner, setting.name)
    if value is None or value in ("", (), {}):
        return NONE
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, dict) and any(isinstance(each, BaseModel) for each in value.values()):
        return ", ".join(value)
    shown = plain(value)
    if isinstance(shown, float) and shown.is_integer():
        shown = int(shown)
    return shown if isinstance(shown, str) else json.dumps(shown)


def _in_environment(variable: str) -> bool:
    return bool(variable) and bool(os.environ.get(variable))


def _begins(row: SettingRow, name: str) -> bool:
    return row.name == name or row.name.startswith(f"{name}.") or row.variable == name
