"""The price list, which collectives and the cascade share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.settings.group import Group, Unit

Price = Annotated[float, Field(ge=0), Unit("any currency, per 1,000 tokens")]


class PriceSettings(Group):
    """The price list: prices of tokens by tier, for `max_cost` and the cost metrics."""

    device: Price = Field(default=0.1, description="The price of a device's tokens.")
    edge: Price = Field(default=1.0, description="The price of the edge's tokens.")
    cloud: Price = Field(default=10.0, description="The price of the cloud's tokens.")
