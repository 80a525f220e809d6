"""The Overview: requests, errors, latency, tokens and saturation, and what drafts bring."""

from __future__ import annotations

from deploy.dashboards.panel import Dashboard, Variable
from deploy.dashboards.rows.drafting import DRAFTING
from deploy.dashboards.rows.failures import WHAT_BREAKS
from deploy.dashboards.rows.latency import LATENCY
from deploy.dashboards.rows.now import NOW
from deploy.dashboards.rows.requests import REQUESTS_AND_TOKENS
from deploy.dashboards.rows.saturation import SATURATION

VARIABLES = (
    Variable(
        name="tier",
        title="Tier",
        description="Where requests were answered.",
        of="tierflow_endpoint_up",
        label="tier",
    ),
    Variable(
        name="model",
        title="Model",
        description="Served model; the engines' own figures carry it as model_name.",
        of='tierflow_requests_total{tier=~"$tier"}',
        label="model",
    ),
)
"""What narrows requests."""

OVERVIEW = Dashboard(
    name="overview",
    title="Overview",
    description=(
        "Requests, errors, latency, tokens and saturation of the whole "
        "hierarchy, and what devices' drafts bring."
    ),
    variables=VARIABLES,
    rows=[NOW, REQUESTS_AND_TOKENS, LATENCY, SATURATION, DRAFTING, WHAT_BREAKS],
)
