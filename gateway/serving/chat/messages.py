"""The text of a message."""

from __future__ import annotations

from typing import Any


def text_of(content: Any) -> str | None:
    """The text of a message's `content`, its parts as lines; None where it holds anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else None
