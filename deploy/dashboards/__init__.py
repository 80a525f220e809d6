"""Grafana's dashboards: what they show stands here, and `make docs` writes their JSON into the
chart of the gateway."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.dashboards.capacity import CAPACITY_AND_COST
from deploy.dashboards.devices import DEVICES
from deploy.dashboards.engines import ENGINES
from deploy.dashboards.overview import OVERVIEW
from deploy.dashboards.panel import Dashboard
from deploy.dashboards.speculation import SPECULATION

DASHBOARDS: Sequence[Dashboard] = (OVERVIEW, SPECULATION, ENGINES, DEVICES, CAPACITY_AND_COST)
