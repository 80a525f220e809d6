"""The base of every group of settings, and the marker for a setting's unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

MAX_WHOLE = 10**15
"""The largest number of anything: beyond, no amount is meant, and clocks and stores can't count."""


@dataclass(frozen=True)
class Unit:
    """The unit of a setting whose name does not end in one: `Annotated[int, Unit("requests")]`.

    Names that end in `_s`, `_bytes`, `_chars` or `_tokens` need none; see deploy/reference.
    """

    name: str


class Group(BaseModel):
    """A group of settings: frozen, with no unknown names, only numbers that can be counted with,
    and no entry twice in a list."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """`yes` and `on` are true in YAML, and true would count as 1."""
        if isinstance(value, bool):
            kinds = _kinds(cls.model_fields[str(info.field_name)].annotation)
            if bool not in kinds and (number := kinds & {int, float}):
                raise PydanticKnownError("float_type" if float in number else "int_type")
        return value

    @model_validator(mode="after")
    def _countable(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, int | float) and abs(value) > MAX_WHOLE:
                raise ValueError(f"{name}: expected {MAX_WHOLE} or less")
        return self

    @model_validator(mode="after")
    def _entries_once(self) -> Self:
        for name in type(self).model_fields:
            entries = getattr(self, name)
            if isinstance(entries, tuple):
                _check_entries(name, entries)
        return self


def _kinds(shape: Any) -> set[Any]:
    """The types that a value may have, at any depth of unions."""
    if get_origin(shape) in (Union, UnionType, Annotated):
        return {kind for member in get_args(shape) for kind in _kinds(member)}
    return {shape} if isinstance(shape, type) else set()


def _check_entries(name: str, entries: Sequence[object]) -> None:
    """Raises ValueError. Lists hold no secrets, so that an entry may be shown."""
    for place, entry in enumerate(entries):
        if isinstance(entry, str) and entry != entry.strip():
            raise ValueError(f"{name}: {entry!r} has spaces around it; take them out")
        if entry == "":
            raise ValueError(f"{name}: entry {place + 1} is empty; write a name, or take it out")
        if not isinstance(entry, BaseModel) and entry in entries[:place]:
            raise ValueError(f"{name}: {str(entry)!r} stands there twice; list it once")
