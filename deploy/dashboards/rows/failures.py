"""What breaks."""

from __future__ import annotations

from deploy.dashboards.panel import Panel, Query, Row, or_zero, rate

WHAT_BREAKS = Row(
    title="What breaks",
    panels=[
        Panel(
            title="Ejections",
            description=(
                "Endpoints that passed the look at their health and "
                "failed requests, by pool and the error code of the last "
                "failure. It does not depend on tier and model."
            ),
            unit="suffix:ejections/s",
            width=6,
            stacked=True,
            queries=[
                Query(
                    or_zero(rate("tierflow_ejections_total", "pool, cause"), pool="none"),
                    "{{pool}} {{cause}}",
                ),
            ],
        ),
        Panel(
            title="Answers that broke",
            description=(
                "Answers whose engine broke after the first token. They "
                "were resumed at another endpoint, or failed, by the "
                "kind of answer. It does not depend on tier and model."
            ),
            unit="suffix:answers/s",
            width=6,
            stacked=True,
            queries=[
                Query(
                    or_zero(rate("tierflow_resumptions_total", "way, outcome"), way="none"),
                    "{{way}} {{outcome}}",
                ),
            ],
        ),
        Panel(
            title="Refused at the door",
            description=(
                "Requests that were refused before any work was done for "
                "them, by the limit that was met. It does not depend on "
                "tier and model."
            ),
            unit="reqps",
            width=6,
            stacked=True,
            queries=[
                Query(
                    or_zero(rate("tierflow_shed_requests_total", "reason"), reason="none"),
                    "{{reason}}",
                ),
            ],
        ),
        Panel(
            title="Lost lines of logs",
            description=(
                "Lines that the gateways' logs have lost because a disk "
                "was full, or nobody read them. It does not depend on "
                "tier and model."
            ),
            unit="suffix:lines/s",
            width=6,
            stacked=True,
            queries=[
                Query(
                    or_zero(rate("tierflow_log_lines_dropped_total")),
                    "lost lines",
                ),
            ],
        ),
    ],
)
