"""The commands as a fixture."""

from tests.charts.product.commands import helm

__all__ = ["helm"]
