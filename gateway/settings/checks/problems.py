"""Settings that can't work, in words: each by its name, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gateway.errors import ConfigError
from gateway.protocol.errors.field_problems import field_problem
from gateway.protocol.nearest import nearest
from gateway.settings.group import MAX_WHOLE

KEY, TEXT = "[key]", "constrained-str"
"""Parts of a place that name no setting: the error is that of a map's key, or of a type."""
DESCRIBED = ("string_pattern_mismatch", "missing")
"""Types of errors whose sentence alone does not say what a value is."""


SHOWN = ("greater_", "less_", "finite_", "int_", "float_", "bool_", "enum", "literal_")
"""How the types of errors begin at numbers, switches and choices. Such values are no secrets."""
KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    Mapping: "a map",
    list: "a list",
    tuple: "a list",
    object: "a value of another kind",
}
PLAIN = re.compile(r"[\w.:+-]{1,20}", re.ASCII)


class WrongSettings(ConfigError):
    """Settings that can't work: `problems` are sentences, and the message is all of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def explain(error: ValidationError, settings: type[BaseModel]) -> list[str]:
    """A sentence for each setting that is wrong: its name, what is expected there and what was got.
    A value that might be a secret is told by its kind alone."""
    items = error.errors(include_url=False)
    names = [_name(item["loc"]) for item in items]
    problems: dict[str, list[str]] = {}
    for name, item in zip(names, items, strict=True):
        # A list with a wrong entry also counts as too short.
        if item["type"] == "too_short" and any(each.startswith(f"{name}.") for each in names):
            continue
        # A value that may be of several types has a problem with each.
        known = problems.setdefault(name, [])
        if (problem := _problem(item, settings)) not in known:
            known.append(problem)
    return [
        # What concerns several settings names them itself.
        f"{name}: {_joined(each)}" if name else "; ".join(each)
        for name, each in problems.items()
    ]


def _joined(problems: Sequence[str]) -> str:
    """Those of a value that may be of several types as one: `expected A or B, got C`."""
    parts = [problem.removeprefix("expected ").rpartition(", got ") for problem in problems]
    if len(problems) == 1 or not all(separator for _, separator, _ in parts):
        return " or ".join(problems)
    kinds = list(dict.fromkeys(expected for expected, _, _ in parts))
    return f"expected {' or '.join(kinds)}, got {parts[0][2]}"


def _expected(item: Mapping[str, Any]) -> str:
    """A sentence on a value, such as `expected a number, such as 1.5, got 'soon'`."""
    problem = field_problem(item)
    if problem == "must not be empty":
        problem = "must be one or more"
    found = re.match(r"must (?:be|have) ", problem)
    return f"expected {problem[found.end() :]}, got {_got(item)}" if found else problem


def _got(item: Mapping[str, Any]) -> str:
    """The value where it can be shown, else its kind."""
    value = item["input"]
    if (length := item.get("ctx", {}).get("actual_length")) and not isinstance(value, str):
        return str(length)
    if value is None or value in ("", [], (), {}):
        return "nothing"
    kind = next(name for type_, name in KINDS.items() if isinstance(value, type_))
    if not item["type"].startswith(SHOWN) or kind in ("a map", "a list"):
        if item["type"].startswith("string_") and isinstance(value, str):
            return "other text"
        return kind
    if isinstance(value, int) and abs(value) > MAX_WHOLE:
        return "a larger one" if value > 0 else "a smaller one"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not PLAIN.fullmatch(text):
        return "other text" if isinstance(value, str) else "another one"
    return repr(text) if isinstance(value, str) else text


def _name(place: Sequence[Any]) -> str:
    """The place of a setting, without what pydantic adds: marks of keys, and types of a union."""
    parts = [str(part) for part in place]
    return ".".join(part for part in parts if "[" not in part and part != TEXT)


def _problem(item: Mapping[str, Any], settings: type[BaseModel]) -> str:
    place = item["loc"]
    if KEY in place:
        return f"the name {field_problem(item)}"
    if item["type"] == "extra_forbidden":
        return f"{field_problem(item)}; {_hint(str(place[-1]), place[:-1], settings)}"
    problem = _expected(item)
    if item["type"] in DESCRIBED and (description := _description(settings, place)):
        return f"{problem}. {description}"
    return problem


def _hint(name: str, group: Sequence[Any], settings: type[BaseModel]) -> str:
    """Which setting was meant by an unknown name in the group at this place."""
    known = _names(settings, group)
    if meant := nearest(name, known):
        return f"did you mean {meant}?"
    if elsewhere := [path for path in _paths(settings) if path.rpartition(".")[2] == name]:
        return f"did you mean {' or '.join(elsewhere[:3])}?"
    return f"known: {', '.join(known)}"


def _paths(group: type[BaseModel], before: str = "") -> Iterator[str]:
    """The paths of all settings but those inside of maps and lists."""
    for name, field in group.model_fields.items():
        inner = _group_in(field.annotation)
        if inner is None:
            yield before + name
        elif not _in_container(field.annotation):
            yield from _paths(inner, f"{before}{name}.")


def _names(settings: type[BaseModel], place: Sequence[Any]) -> list[str]:
    """The names of settings in the group at this place."""
    groups = [group for group, rest in _groups(settings, place) if not rest]
    return list(groups[0].model_fields) if groups else []


def _description(settings: type[BaseModel], place: Sequence[Any]) -> str:
    """What the setting at this place, or the one around it, is described as."""
    fields: list[FieldInfo] = [
        group.model_fields[rest[0]]
        for group, rest in _groups(settings, place)
        if rest and rest[0] in group.model_fields
    ]
    return (fields[-1].description or "").rstrip(".") if fields else ""


def _groups(
    settings: type[BaseModel], place: Sequence[Any]
) -> Iterator[tuple[type[BaseModel], Sequence[Any]]]:
    """The groups on the way to a place, the outermost first, each with what is left of the way."""
    group: type[BaseModel] | None = settings
    while group is not None:
        yield group, place
        if not place or place[0] not in group.model_fields:
            return
        shape, place = group.model_fields[place[0]].annotation, place[1:]
        group = _group_in(shape)
        # A name in a map, or a number in a list, is a step without a field of its own.
        if group is not None and _in_container(shape):
            place = place[1:]


def _group_in(shape: Any) -> type[BaseModel] | None:
    """The group that a field's type is, or holds."""
    if _is_group(shape):
        found: type[BaseModel] = shape
        return found
    return next((group for part in get_args(shape) if (group := _group_in(part))), None)


def _in_container(shape: Any) -> bool:
    """Whether the group that a field's type holds stands in a map or a list there."""
    if get_origin(shape) in (dict, tuple):
        return True
    return any(_in_container(part) for part in get_args(shape) if not _is_group(part))


def _is_group(shape: Any) -> bool:
    return isinstance(shape, type) and get_origin(shape) is None and issubclass(shape, BaseModel)
