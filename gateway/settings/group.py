"""The base of every group of settings, and the marker for a setting's unit."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Unit:
    """The unit of a setting whose name does not end in one: `Annotated[int, Unit("requests")]`.

    Names that end in `_s`, `_bytes`, `_chars` or `_tokens` need none; see deploy/reference.
    """

    name: str


class Group(BaseModel):
    """A group of settings: frozen, and with no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")
