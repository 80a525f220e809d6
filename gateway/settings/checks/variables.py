"""The environment variables of the settings: which names are settings, and which were meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from gateway.protocol.configuration.variables import (
    SETTINGS_PREFIX,
    unknown_variable,
    variables_problem,
)
from gateway.protocol.nearest import nearest
from gateway.settings.checks.moved import MOVED
from gateway.settings.checks.problems import WrongSettings

DELIMITER = "__"
"""Between the levels of a setting."""


def check_variables(environ: Mapping[str, str], settings: type[BaseModel]) -> None:
    """Raises WrongSettings that names every variable of ours that nothing reads, and those that
    are set twice, as upper and lower case count as the same there."""
    leaves = list(_leaves(settings, SETTINGS_PREFIX.removesuffix("_"), "_"))
    problem = variables_problem(environ, lambda name: _problem(name, settings, leaves), leaves)
    problems = [*([problem] if problem else ()), *_twice(environ)]
    if problems:
        raise WrongSettings(problems)


def _twice(environ: Mapping[str, str]) -> Iterator[str]:
    ours = sorted(name for name in environ if name.upper().startswith(SETTINGS_PREFIX))
    for first, second in combinations(ours, 2):
        if first.upper() == second.upper():
            yield f"{first} and {second} are the same variable; take one out of the environment"


def _problem(name: str, settings: type[BaseModel], leaves: Sequence[str]) -> str:
    """What is wrong with a variable that begins as those of settings do; empty: nothing."""
    parts = name.removeprefix(SETTINGS_PREFIX).lower().split(DELIMITER)
    if _is_setting(settings, parts) or _has_moved(parts):
        return ""
    meant = [*leaves, *(_variable(path) for path in _corrections(settings, parts))]
    return unknown_variable(name, meant, SETTINGS_PREFIX)


def _corrections(settings: type[BaseModel], parts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Paths of settings that may have been meant: with one name spelt as the nearest, or with one
    of the `_` doubled. They reach into maps, whose names are nobody's but the operator's."""
    for place, part in enumerate(parts):
        before, after = parts[:place], parts[place + 1 :]
        for known in _names(settings, before):
            path = (*before, known, *after)
            if nearest(part, [known]) and _is_setting(settings, path):
                yield path
        cuts = [index for index, letter in enumerate(part) if letter == "_"]
        for cut in cuts:
            path = (*before, part[:cut], part[cut + 1 :], *after)
            if part[:cut] and part[cut + 1 :] and _is_setting(settings, path):
                yield path


def _names(settings: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The names of settings below this path."""
    shapes: list[Any] = [settings]
    for part in path:
        shapes = [deeper for shape in shapes for deeper in _below(shape, part)]
    groups = [member for shape in shapes for member in _members(shape) if _is_group(member)]
    return [name for group in groups for name in group.model_fields]


def _is_setting(shape: Any, path: Sequence[str]) -> bool:
    if not path or shape is Any:
        return True
    return any(_is_setting(deeper, path[1:]) for deeper in _below(shape, path[0]))


def _below(shape: Any, name: str) -> list[Any]:
    """The types of what a value of this type holds under a name."""
    found = []
    for member in _members(shape):
        if _is_group(member) and name in member.model_fields:
            found.append(member.model_fields[name].annotation)
        elif get_origin(member) is dict:
            found.append(get_args(member)[1])
    return found


def _members(shape: Any) -> list[Any]:
    """A type, or those that a union is made of."""
    if get_origin(shape) is Annotated:
        return _members(get_args(shape)[0])
    if get_origin(shape) in (Union, UnionType):
        return [deeper for member in get_args(shape) for deeper in _members(member)]
    return [shape]


def _leaves(group: type[BaseModel], variable: str, delimiter: str) -> Iterator[str]:
    """The variables of all settings but those inside of maps and lists."""
    for name, field in group.model_fields.items():
        inner = f"{variable}{delimiter}{name.upper()}"
        groups = [member for member in _members(field.annotation) if _is_group(member)]
        if not groups:
            yield inner
        for deeper in groups:
            yield from _leaves(deeper, inner, DELIMITER)


def _variable(path: Sequence[str]) -> str:
    return SETTINGS_PREFIX + DELIMITER.join(path).upper()


def _has_moved(path: Sequence[str]) -> bool:
    name = ".".join(path)
    return any(name == moved or name.startswith(f"{moved}.") for moved in MOVED)


def _is_group(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)
