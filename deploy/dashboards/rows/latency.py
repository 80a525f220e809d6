"""How long requests take."""

from __future__ import annotations

from deploy.dashboards.panel import NO_STREAM, Panel, Query, Row, placed, quantile

LATENCY = Row(
    title="Latency",
    panels=[
        Panel(
            title="Time to first token",
            description=("Streams: from arrival at the gateway to the first bytes, by tier."),
            unit="s",
            empty=NO_STREAM,
            queries=[
                Query(
                    quantile(0.5, placed("tierflow_time_to_first_token_seconds"), "tier"),
                    "{{tier}} p50",
                ),
                Query(
                    quantile(0.95, placed("tierflow_time_to_first_token_seconds"), "tier"),
                    "{{tier}} p95",
                ),
            ],
        ),
        Panel(
            title="Inter-token latency",
            description=(
                "Streams: between two pieces, by tier. Where a draft is "
                "accepted, a piece has several tokens."
            ),
            unit="s",
            empty=NO_STREAM,
            queries=[
                Query(
                    quantile(0.5, placed("tierflow_inter_token_latency_seconds"), "tier"),
                    "{{tier}} p50",
                ),
                Query(
                    quantile(0.95, placed("tierflow_inter_token_latency_seconds"), "tier"),
                    "{{tier}} p95",
                ),
            ],
        ),
        Panel(
            title="Whole request, and waiting for admission",
            description=("Arrival to last byte by tier, and the wait for a place in the gateway."),
            unit="s",
            empty="no request in this time",
            queries=[
                Query(
                    quantile(0.95, placed("tierflow_request_duration_seconds"), "tier"),
                    "{{tier}} p95",
                ),
                Query(
                    quantile(0.95, "tierflow_queue_seconds"),
                    "admission p95",
                ),
            ],
        ),
    ],
)
