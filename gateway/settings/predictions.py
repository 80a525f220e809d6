"""Settings of predicted outputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from gateway.settings.group import Group


class PredictionSettings(Group):
    """Predicted outputs: texts that callers expect, which are offered to engines as drafts."""

    max_chars: int = Field(
        default=131_072,
        ge=0,
        le=1_048_576,
        description="Characters of a predicted text at most; a longer one is refused.",
    )
    from_prompt: Literal["off", "adaptive"] = Field(
        default="off",
        description="Whether requests that predict nothing draw drafts from their own prompts: "
        "adaptive (for each model as long as that pays) or off.",
    )

    @field_validator("from_prompt", mode="before")
    @classmethod
    def _off_in_yaml(cls, value: object) -> object:
        """YAML reads an unquoted `off` as false."""
        return "off" if value is False else value
