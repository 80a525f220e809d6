"""How much is asked, what fails, how soon answers begin, and what is up."""

from __future__ import annotations

from deploy.dashboards.panel import NO_STREAM, Panel, Query, Row, or_zero, placed, quantile, rate

_CALLERS = (
    "ok",
    "cancelled",
    "client_.*",
    "bad_open",
    "body_.*",
    "demand_not_met",
    "engine_refused",
    "invalid_.*",
    "missing_model",
    "model_not_found",
    "prompt_too_long",
    "tokenizer_.*",
    "unknown_.*",
    "idempotency_.*",
    "limit_exceeded",
    "rate_limit_exceeded",
    "fan_out_exceeded",
    "quota_exceeded",
    ".*_not_allowed",
    "insufficient_quota",
    "already_judged",
    "being_judged",
    "encoded_body",
    "foreign_.*",
    "headers_too_large",
    "target_too_long",
    "not_found",
    "privacy_class",
    "route_not_served",
    "stream_gone",
    "stream_replaced",
    "admin_disabled",
    "keys?_.*",
    "name_.*",
    "revoked_device_token",
    "too_many_attempts",
    "too_many_consoles",
)
"""Outcomes that are no fault of ours, as patterns."""
NOT_OURS = f'outcome!~"{"|".join(_CALLERS)}"'

NOW = Row(
    title="Now",
    panels=[
        Panel(
            title="Requests",
            description=(
                "Callers' requests that ended, each second. What the "
                "gateway itself asks for cascades and collectives is not "
                "in it."
            ),
            unit="reqps",
            kind="stat",
            width=4,
            queries=[
                Query(
                    or_zero(rate(placed("tierflow_requests_total"))),
                    "Requests",
                ),
            ],
        ),
        Panel(
            title="Failed",
            description=(
                "Share of requests that ended in a failure of ours: "
                "engine errors, timeouts, nowhere to send them, "
                "overload. What callers do wrong, and callers that "
                "leave, is not in it. 0 without traffic."
            ),
            unit="percentunit",
            kind="stat",
            width=4,
            steps=[("green", None), ("yellow", 0.01), ("red", 0.05)],
            decimals=2,
            most=1,
            queries=[
                Query(
                    f"({or_zero(rate(placed('tierflow_requests_total', NOT_OURS)))}) / "
                    f"clamp_min({or_zero(rate(placed('tierflow_requests_total')))}, 1e-9)",
                    "Failed",
                ),
            ],
        ),
        Panel(
            title="TTFT p95",
            description=(
                "Time to first token of streams, 95th percentile: from a "
                "request's arrival at the gateway to its first bytes."
            ),
            unit="s",
            empty=NO_STREAM,
            kind="stat",
            width=4,
            steps=[("green", None), ("yellow", 2), ("red", 5)],
            queries=[
                Query(
                    quantile(0.95, placed("tierflow_time_to_first_token_seconds")),
                    "TTFT p95",
                ),
            ],
        ),
        Panel(
            title="Answer tokens",
            description="Tokens of answers per second, over all gateway replicas.",
            unit="suffix:tok/s",
            kind="stat",
            width=4,
            decimals=1,
            queries=[
                Query(
                    or_zero(rate(placed("tierflow_tokens_total", 'kind="completion"'))),
                    "Answer tokens",
                ),
            ],
        ),
        Panel(
            title="In flight",
            description=(
                "Requests inside the gateway now, over all replicas. It "
                "does not depend on tier and model."
            ),
            unit="short",
            kind="stat",
            width=4,
            decimals=0,
            queries=[
                Query(
                    "sum(tierflow_in_flight_requests)",
                    "In flight",
                ),
            ],
        ),
        Panel(
            title="Endpoints up",
            description=(
                "Share of the endpoints that every gateway replica finds "
                "healthy. 0 when none is known."
            ),
            unit="percentunit",
            kind="stat",
            width=4,
            steps=[("red", None), ("yellow", 0.5), ("green", 1)],
            decimals=0,
            most=1,
            queries=[
                Query(
                    (
                        "(sum(min by (pool, endpoint, exported_endpoint) "
                        '(tierflow_endpoint_up{tier=~"$tier"})) / '
                        "count(count by (pool, endpoint, "
                        "exported_endpoint) "
                        '(tierflow_endpoint_up{tier=~"$tier"}))) or '
                        "vector(0)"
                    ),
                    "Endpoints up",
                ),
            ],
        ),
    ],
)
