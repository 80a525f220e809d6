"""Values that flags give over those of files: --set and its kin, in Helm's order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from k8s.preflight.failure import UsageFailure

Values: TypeAlias = dict[str, Any]

READERS = {
    "set-json": "parse_set_json",
    "set": "parse_set_string",
    "set-string": "parse_set_string_values",
    "set-file": "parse_set_file",
    "set-literal": "parse_set_literal",
}
"""Helm's library by flag. Later flags win over earlier ones here, however they are typed."""


@dataclass(frozen=True)
class Setting:
    """One use of a flag, as in `--set gateway.replicas=2`."""

    flag: str
    """Without its dashes, one of READERS."""
    expression: str

    @property
    def name(self) -> str:
        """What may be said of it: what stands after the sign may be a token."""
        return f"--{self.flag} {self.expression.partition('=')[0]}"


def in_order(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """As Helm applies them."""
    return tuple(sorted(settings, key=lambda setting: list(READERS).index(setting.flag)))


def with_settings(values: Values, settings: Iterable[Setting]) -> Values:
    """Read by Helm's library. Raises UsageFailure, which shows no value."""
    import helm_python

    for setting in in_order(settings):
        problem = f"{setting.name}: can't be read; write it as NAME=VALUE"
        if setting.flag == "set-json" and "=" in setting.expression:
            problem = f"{setting.name}: what stands after = is no JSON"
        if setting.flag == "set-file":
            problem = f"{setting.name}: needs NAME=FILE, and a file that can be read"
        try:
            layer = getattr(helm_python, READERS[setting.flag])(setting.expression)
        except helm_python.HelmError:
            raise UsageFailure(problem) from None
        if not isinstance(layer, dict) or "=" not in setting.expression:
            raise UsageFailure(problem)
        values = _set_over(values, layer, setting.expression, "")
    return values


def _set_over(below: Values, above: Values, expression: str, prefix: str) -> Values:
    """Like `overlay`, but an item that is named by its number (`list[1]=x`) leaves the others."""
    result = dict(below)
    for key, value in above.items():
        path = prefix + str(key).replace(".", "\\.")
        result[key] = _one_over(result.get(key), value, expression, path)
    return result


def _one_over(beneath: Any, value: Any, expression: str, path: str) -> Any:
    if isinstance(beneath, dict) and isinstance(value, dict):
        return _set_over(beneath, value, expression, f"{path}.")
    numbered = re.findall(rf"(?:^|,)\s*{re.escape(path)}\[(\d+)\]", expression)
    if not (isinstance(beneath, list) and isinstance(value, list) and numbered):
        return value
    items = list(beneath) + [None] * (len(value) - len(beneath))
    for number in map(int, numbered):
        items[number] = _one_over(items[number], value[number], expression, f"{path}[{number}]")
    return items
