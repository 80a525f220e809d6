"""An example of the gateway's settings file: every setting with its default, unit and meaning."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from deploy.reference.settings import Setting, SettingsSection, sections, unit
from gateway.settings import Settings

_HEAD = """\
# Settings of the gateway: `python -m gateway --config FILE`. What stands here is the default, but
# for the pool; what has no default is commented out, and so are groups that are off without a word.
# `tierflow settings --config FILE` shows what holds.

# The pools, by name.
pools:
  edge:
    tier: edge
    endpoints: ["http://127.0.0.1:8101"]
"""
_WIDTH = 98


def as_yaml() -> str:
    """The file; it can be loaded as it is."""
    found = {section.path: section for section in sections() if _is_plain(section.path)}
    lines = [*_settings(found[""], "")]
    for path in _below(found, ""):
        lines += ["", *_group(found, path, "")]
    return _HEAD + "\n" + "\n".join(line.rstrip() for line in lines) + "\n"


def plain(value: Any) -> Any:
    """The value as JSON and YAML have it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, Path):
        return str(value)
    return getattr(value, "value", value)


def _is_plain(path: str) -> bool:
    """Whether it leads through no map and no list."""
    return "<" not in path and "[" not in path


def _below(found: Mapping[str, SettingsSection], path: str) -> list[str]:
    """The groups that lie in this one."""
    depth = path.count(".") + 1 if path else 0
    inner = [each.split(".") for each in found if each.startswith(f"{path}." if path else "")]
    return list(
        dict.fromkeys(
            ".".join(each[: depth + 1]) for each in inner if len(each) > depth and each[0]
        )
    )


def _group(found: Mapping[str, SettingsSection], path: str, indent: str) -> Iterator[str]:
    section = found.get(path)
    if section is not None:
        yield from _comment(section.sentence, indent)
    lines = list(_settings(section, indent + "  ")) if section is not None else []
    for inner in _below(found, path):
        lines += _group(found, inner, indent + "  ")
    name = f"{indent}{path.rpartition('.')[2]}:"
    if _is_off(path) or all(line.lstrip().startswith("#") for line in lines):
        yield f"# {name}"
        yield from (line if line.startswith("#") else f"# {line}" for line in lines)
    else:
        yield name
        yield from lines


def _settings(section: SettingsSection, indent: str) -> Iterator[str]:
    for setting in section.settings:
        if setting.path == "pools":
            continue
        yield from _comment(_meaning(setting), indent)
        value = None if setting.field.is_required() else plain(setting.field.default)
        if value is None:
            yield f"{indent}# {setting.name}:"
        else:
            yield f"{indent}{setting.name}: {json.dumps(value)}"


def _meaning(setting: Setting) -> str:
    return f"{setting.field.description or ''} ({unit(setting).replace('`', '')})"


def _comment(text: str, indent: str) -> list[str]:
    begin = f"{indent}# "
    return textwrap.wrap(text, _WIDTH, initial_indent=begin, subsequent_indent=begin)


def _is_off(path: str) -> bool:
    """Whether the group, or one that it lies in, is none by default."""
    owner: Any = Settings
    for name in path.split("."):
        field = owner.model_fields[name]
        if field.is_required() or field.default is None:
            return True
        owner = type(field.default)
    return False
