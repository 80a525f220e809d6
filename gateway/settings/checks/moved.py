"""Settings that have another name than before, so that an old configuration says what to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOVED: Mapping[str, str] = {
    "collective.prices": "set `prices` instead, with the same numbers",
    "cascade.cost_per_token": "set `prices` instead; they are per 1,000 tokens, so the same cost "
    "needs 1,000 times the number",
}
"""What to do about a setting that is no longer known, by its old name."""


def refuse_moved(values: Mapping[str, Any]) -> None:
    """Raises ValueError that names every moved setting in `values`, and its new place."""
    found = [f"{name}: {remedy}" for name, remedy in MOVED.items() if _is_set(values, name)]
    if found:
        raise ValueError("; ".join(found))


def _is_set(values: Mapping[str, Any], name: str) -> bool:
    group: Any = values
    for part in name.split("."):
        if not isinstance(group, Mapping) or part not in group:
            return False
        group = group[part]
    return True
