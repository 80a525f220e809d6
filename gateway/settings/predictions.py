"""Settings of predicted outputs."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.group import Group


class PredictionSettings(Group):
    """Predicted outputs: texts that callers expect, which are offered to engines as drafts."""

    max_chars: int = Field(
        default=131_072,
        ge=0,
        le=1_048_576,
        description="Characters of a predicted text at most; a longer one is refused.",
    )
