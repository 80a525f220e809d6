"""Capacity and cost: what is used by tier and key, what it costs, and what collaboration saves."""

from __future__ import annotations

from deploy.dashboards.overview import VARIABLES
from deploy.dashboards.panel import Dashboard, Panel, Query, Row, or_zero, placed, rate


def an_hour(cost: str) -> str:
    """Cost an hour by tier."""
    return or_zero("3600 * " + rate(cost, "tier"), tier="none")


CAPACITY = Row(
    title="Capacity",
    panels=[
        Panel(
            title="Demand by pool",
            description="Requests at a pool's endpoints and those held for it, over all gateways. "
            "Autoscalers follow it.",
            unit="short",
            stacked=True,
            queries=[Query("sum by (pool) (tierflow_pool_demand)", "{{pool}}")],
        ),
        Panel(
            title="Held for pools without an endpoint",
            description="Requests that wait for the first endpoint of a pool that was scaled to "
            "nothing.",
            unit="short",
            queries=[Query("sum by (pool) (tierflow_pool_held)", "{{pool}}")],
        ),
        Panel(
            title="Connections",
            description="Connections of callers and devices that are open now, over all gateways.",
            unit="short",
            queries=[Query("sum(tierflow_open_connections)", "open")],
        ),
    ],
)
USE = Row(
    title="Use",
    panels=[
        Panel(
            title="Tokens by tier and model",
            description="Tokens of prompts and answers a second, by the tier and model that read "
            "and made them.",
            unit="suffix:tok/s",
            stacked=True,
            queries=[
                Query(
                    or_zero(
                        rate(placed("tierflow_tokens_total"), "tier, model"),
                        tier="none",
                        model="none",
                    ),
                    "{{tier}} {{model}}",
                )
            ],
        ),
        Panel(
            title="Tokens by key",
            description="Tokens a second that callers' keys have used, as their quotas count them.",
            unit="suffix:tok/s",
            stacked=True,
            queries=[
                Query(or_zero(rate("tierflow_key_tokens_total", "key"), key="none"), "{{key}}")
            ],
        ),
        Panel(
            title="Requests by key",
            description="Callers' requests a second that ended, by the name of their key.",
            unit="reqps",
            stacked=True,
            queries=[
                Query(or_zero(rate("tierflow_key_requests_total", "key"), key="none"), "{{key}}")
            ],
        ),
    ],
)
COST = Row(
    title="Cost",
    panels=[
        Panel(
            title="Cost of cascades",
            description="Cost an hour of what cascades had made, by tier, in the currency of the "
            "setting `prices`.",
            unit="short",
            stacked=True,
            queries=[
                Query(
                    an_hour("tierflow_cascade_cost_total"),
                    "{{tier}}",
                )
            ],
        ),
        Panel(
            title="Cost of collectives",
            description="Cost an hour of what collectives had made, by tier, in the currency of "
            "the setting `prices`.",
            unit="short",
            stacked=True,
            queries=[
                Query(
                    an_hour("tierflow_collective_cost_total"),
                    "{{tier}}",
                )
            ],
        ),
        Panel(
            title="Tokens that cost no step of their own",
            description="Tokens of answers a second that came out of drafts that proved right: "
            "steps of engines that were saved.",
            unit="suffix:tok/s",
            stacked=True,
            queries=[
                Query(
                    or_zero(rate("tierflow_speculation_accepted_tokens_total")), "devices' drafts"
                ),
                Query(or_zero(rate("tierflow_cascade_kept_tokens_total")), "kept by cascades"),
            ],
        ),
    ],
)
CAPACITY_AND_COST = Dashboard(
    name="capacity",
    title="Capacity and cost",
    description="Demand, tokens and cost by tier and key, and what drafts and cascades save.",
    variables=VARIABLES,
    rows=[CAPACITY, USE, COST],
)
