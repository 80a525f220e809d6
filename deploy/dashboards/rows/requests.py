"""Requests and tokens, and where they went."""

from __future__ import annotations

from deploy.dashboards.panel import Panel, Query, Row, or_zero, placed, rate

REQUESTS_AND_TOKENS = Row(
    title="Requests and tokens",
    panels=[
        Panel(
            title="Requests by tier",
            description=(
                'Requests that ended, by the tier that answered. "none": no engine was reached.'
            ),
            unit="reqps",
            stacked=True,
            queries=[
                Query(
                    or_zero(rate(placed("tierflow_requests_total"), "tier"), tier="none"),
                    "{{tier}}",
                ),
            ],
        ),
        Panel(
            title="Requests that did not end well",
            description=(
                'By outcome: "cancelled" is a caller that left or a call '
                "of the gateway's own that was not needed any more, "
                '"client_error" an engine\'s 4xx, anything else an error '
                "code of the gateway. A code counts from its second time "
                "on after a gateway's start, because rates need two "
                "readings."
            ),
            unit="reqps",
            stacked=True,
            queries=[
                Query(
                    or_zero(
                        rate(placed("tierflow_requests_total", 'outcome!="ok"'), "outcome"),
                        outcome="none",
                    ),
                    "{{outcome}}",
                ),
            ],
        ),
        Panel(
            title="Tokens by tier",
            description=(
                "Tokens of answers, and of prompts where the engine reports them, per second."
            ),
            unit="suffix:tok/s",
            queries=[
                Query(
                    or_zero(rate(placed("tierflow_tokens_total"), "tier, kind"), tier="none"),
                    "{{tier}} {{kind}}",
                ),
            ],
        ),
        Panel(
            title="Why requests went there",
            description=(
                "By the reason of the choice: the caller named a model "
                "or tier, least expected time, overflow from a saturated "
                "tier, failover from a dead one, retry after a failure."
            ),
            unit="reqps",
            stacked=True,
            queries=[
                Query(
                    or_zero(rate(placed("tierflow_requests_total"), "reason"), reason="none"),
                    "{{reason}}",
                ),
            ],
        ),
        Panel(
            title="Retries",
            description=("Attempts beyond a request's first, by the pool that failed and how."),
            unit="suffix:retries/s",
            stacked=True,
            queries=[
                Query(
                    or_zero(rate("tierflow_retries_total", "pool, cause"), pool="none"),
                    "{{pool}} {{cause}}",
                ),
            ],
        ),
        Panel(
            title="The gateway's own requests",
            description=(
                "Requests that the gateway itself makes to engines for "
                "cascades and collectives, by tier and outcome. They are "
                "in no other panel of requests and latency; their tokens "
                "are in those of tokens."
            ),
            unit="reqps",
            stacked=True,
            queries=[
                Query(
                    or_zero(
                        rate(placed("tierflow_subrequests_total"), "tier, outcome"), tier="none"
                    ),
                    "{{tier}} {{outcome}}",
                ),
            ],
        ),
    ],
)
