"""Resumable streams."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.settings.group import Group, Unit
from gateway.settings.values import Seconds


class ResumableSettings(Group):
    """Streams that survive their connection, by request; see docs/resumable-streams.md."""

    max_s: Seconds = Field(
        default=300.0,
        ge=0,
        description="The longest that a stream lives without its caller; a request for more gets "
        "this. 0: no stream is resumable.",
    )
    max_away: Annotated[int, Unit("streams")] = Field(
        default=1024,
        ge=1,
        description="Streams without their caller at once; beyond, one ends.",
    )
    max_stream_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="What is kept of one stream; its oldest events go first.",
    )
    max_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1024,
        description="What is kept of all streams; beyond, one without its caller ends.",
    )
