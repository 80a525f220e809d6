"""Types of fields that several frames share, with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Id = Annotated[int, Meta(ge=0, lt=2**31)]
Number = Annotated[int, Meta(ge=0, lt=2**31)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Code = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=1000)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Tier = Literal["edge", "cloud"]
FinishReason = Literal["stop", "length", "cancelled", "error"]
Privacy = Literal["public", "owner", "private"]
"""Whose questions a device answers: anybody's, its owner's, or none (it only drafts)."""
