"""What becomes of a record, and what the caller gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Decision(Generic[Record]):
    """`record` is to be kept until the time `until`, from which on it counts as absent; None: keep
    nothing. `result` is what the operation gives."""

    record: Record | None
    until: float
    result: Any


def nothing(result: Any) -> Decision[Any]:
    return Decision(None, 0.0, result)
