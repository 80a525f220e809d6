"""Virtual models whose answers come through tiers in the middle; see docs/three-tiers.md."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.protocol.virtual_models import EDGE_CLOUD
from gateway.settings.group import Group

ChainName = Annotated[str, Field(pattern=r"^tierflow-[a-z0-9-]{1,64}$")]
Stages = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=256)], ...],
    Field(min_length=2, max_length=6),
]


class ChainSettings(Group):
    """Chains of tiers for callers without a device: the lower ones draft, the last one answers."""

    models: dict[ChainName, Stages] = Field(
        default={EDGE_CLOUD: ("edge", "cloud")},
        max_length=32,
        description="Virtual models, by their names, and their stages, the lowest first: `edge`, "
        "`cloud`, or a served model.",
    )
    adapt: bool = Field(
        default=True,
        description="Whether tiers in the middle are left out where they make answers no faster. "
        "`false`: they are always asked, for devices too.",
    )
    auto: str = Field(
        default="",
        description="The one of them that `tierflow-auto` takes where it goes to its last stage; "
        "empty: none.",
    )
