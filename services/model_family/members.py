"""The members of a family and the folders that hold them."""

from __future__ import annotations

from pathlib import Path

TIERS = ("device", "edge", "cloud")


class IncompleteFamily(Exception):
    """A folder lacks one of the members."""


def member(tier: str) -> str:
    """The published name of a family member, such as ``rill-edge``."""
    return f"rill-{tier}"


def check_members(folder: Path) -> None:
    """Raises IncompleteFamily naming the first missing file."""
    for tier in TIERS:
        for name in ("model.safetensors", "config.json", "tokenizer.json"):
            path = folder / member(tier) / name
            if not path.is_file():
                raise IncompleteFamily(f"{path} does not exist; run `export` first")
