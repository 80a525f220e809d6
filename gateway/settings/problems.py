"""Settings that can't work, in words: each by its name, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gateway.protocol.field_problems import field_problem

KEY, TEXT = "[key]", "constrained-str"
"""Parts of a place that name no setting: the error is that of a map's key, or of a type."""
DESCRIBED = ("string_pattern_mismatch", "missing")
"""Types of errors whose sentence alone does not say what a value is."""


def explain(error: ValidationError, settings: type[BaseModel]) -> str:
    """One line that names each setting that is wrong. Values stay out: one might be a secret."""
    items = error.errors(include_input=False, include_url=False)
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
    return "; ".join(
        # What concerns several settings names them itself.
        f"{name}: {' or '.join(each)}" if name else "; ".join(each)
        for name, each in problems.items()
    )


def _name(place: Sequence[Any]) -> str:
    """The place of a setting, without what pydantic adds: marks of keys, and types of a union."""
    parts = [str(part) for part in place]
    return ".".join(part for part in parts if "[" not in part and part != TEXT)


def _problem(item: Mapping[str, Any], settings: type[BaseModel]) -> str:
    problem, place = field_problem(item), item["loc"]
    if KEY in place:
        return f"the name {problem}"
    if item["type"] == "extra_forbidden":
        known = _names(settings, place[:-1])
        nearest = get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(known)}"
        return f"{problem}; {hint}"
    if item["type"] in DESCRIBED and (description := _description(settings, place)):
        return f"{problem}. {description}"
    return problem


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
        # A name in a map, or a number in a list, is a step without a field of its own.
        group = _group_in(shape)
        if group is not None and not _is_group(shape):
            place = place[1:]


def _group_in(shape: Any) -> type[BaseModel] | None:
    """The group that a field's type is, or holds."""
    if _is_group(shape):
        found: type[BaseModel] = shape
        return found
    return next((group for part in get_args(shape) if (group := _group_in(part))), None)


def _is_group(shape: Any) -> bool:
    return isinstance(shape, type) and get_origin(shape) is None and issubclass(shape, BaseModel)
