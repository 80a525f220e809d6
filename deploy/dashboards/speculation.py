"""Speculation: drafts of devices, of tiers in the middle and of predictions, and what came true."""

from __future__ import annotations

from deploy.dashboards.panel import (
    NO_DRAFT,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
    median_and_p95,
    or_zero,
    quantile,
    rate,
    share,
)
from deploy.dashboards.rows.drafting import ACCEPTED, FORWARDED

AT = '{tier=~"$tier"}'
POSITIONS = f"tierflow_speculation_position_tokens_total{AT}"
RIGHT = POSITIONS.replace("}", ', result="accepted"}')


def mean_step(by: str = "") -> str:
    """The tokens that a step brings, in the mean."""
    steps = "tierflow_speculation_tokens_per_step"
    return share(rate(f"{steps}_sum{AT}", by), rate(f"{steps}_count{AT}", by))


NOW = Row(
    title="Now",
    panels=[
        Panel(
            title="Drafts that prove right",
            description="Share of devices' draft tokens that verifiers accepted, of those that "
            "reached them.",
            unit="percentunit",
            kind="stat",
            width=6,
            most=1,
            empty=NO_DRAFT,
            queries=[Query(share(rate(ACCEPTED), rate(FORWARDED)), "accepted")],
        ),
        Panel(
            title="Tokens a step",
            description="Tokens that one step of a verifier brings an answer with drafts. Plain "
            "serving has one: it is how often a step was saved, and a bound of the speed-up.",
            unit="short",
            kind="stat",
            width=6,
            decimals=2,
            empty=NO_DRAFT,
            queries=[
                Query(
                    mean_step(),
                    "tokens a step",
                )
            ],
        ),
        Panel(
            title="Devices that are connected",
            description="Devices with a connection to any gateway now.",
            unit="short",
            kind="stat",
            width=6,
            queries=[Query("sum(tierflow_devices_connected)", "devices")],
        ),
        Panel(
            title="Engines that drafts reach",
            description="Share of the engines' mailboxes that a gateway is connected to. Below 1 "
            "the answers of some engines come without drafts.",
            unit="percentunit",
            kind="stat",
            width=6,
            most=1,
            steps=[("red", None), ("yellow", 0.5), ("green", 1.0)],
            queries=[
                Query(
                    "avg(max by (endpoint, exported_endpoint) (tierflow_mailbox_connected))",
                    "reached",
                )
            ],
        ),
    ],
)
DRAFTS = Row(
    title="Devices' drafts",
    panels=[
        Panel(
            title="What became of drafts",
            description="Draft tokens a second: forwarded to the verifier, late (it was past them) "
            "or dropped (it could not be reached); and those that came true.",
            unit="suffix:tok/s",
            queries=[
                Query(
                    or_zero(
                        rate(f"tierflow_speculation_draft_tokens_total{AT}", "fate"),
                        fate="forwarded",
                    ),
                    "{{fate}}",
                ),
                Query(or_zero(rate(ACCEPTED)), "accepted"),
            ],
        ),
        Panel(
            title="Acceptance by position",
            description="Share of drafts that proved right, by their place in the step that looked "
            "at them: 0 is the first. It falls along the step, and steeply where drafts are bad.",
            unit="percentunit",
            most=1,
            empty=NO_DRAFT,
            queries=[
                Query(
                    share(rate(RIGHT, "position"), rate(POSITIONS, "position")),
                    "position {{position}}",
                )
            ],
        ),
        Panel(
            title="Tokens a step, by tier",
            description="Tokens that one step of a verifier brings an answer with drafts: mean, "
            "and 95th percentile.",
            unit="short",
            empty=NO_DRAFT,
            queries=[
                Query(
                    mean_step("tier"),
                    "{{tier}} mean",
                ),
                Query(
                    quantile(0.95, f"tierflow_speculation_tokens_per_step{AT}", "tier"),
                    "{{tier}} p95",
                ),
            ],
        ),
        Panel(
            title="Age of drafts",
            description="Time from forwarding a draft until it came back verified: the link to the "
            "engine, and the step.",
            unit="s",
            empty=NO_DRAFT,
            queries=median_and_p95(f"tierflow_speculation_draft_age_seconds{AT}", "tier"),
        ),
        Panel(
            title="Bytes of frames",
            description="Bytes a second on devices' connections: from them (up), to them (down).",
            unit="Bps",
            queries=[
                Query(
                    or_zero(rate("tierflow_device_bytes_total", "direction"), direction="up"),
                    "{{direction}}",
                )
            ],
        ),
        Panel(
            title="Round trips",
            description="Round trip of devices to the gateway, as they measured it, and the "
            "longest of gateways to the engines' mailboxes.",
            unit="s",
            empty="no device has measured its link in this time",
            queries=[
                *median_and_p95("tierflow_device_round_trip_seconds"),
                Query("max(tierflow_mailbox_round_trip_seconds)", "to a mailbox, the longest"),
            ],
        ),
    ],
)
MAILBOXES = Row(
    title="At the engines",
    panels=[
        Panel(
            title="Drafts at the engines",
            description="Draft tokens a second by what engines made of them: offered to a step, "
            "accepted, late (the engine was faster), stale (another token came), left_out (not "
            "worth their cost), unused.",
            unit="suffix:tok/s",
            width=12,
            queries=[
                Query(
                    or_zero(
                        rate(
                            'tierflow_mailbox_events_total{count=~"offered|accepted|late|stale|'
                            'left_out|unused"}',
                            "count",
                        ),
                        count="offered",
                    ),
                    "{{count}}",
                )
            ],
        ),
        Panel(
            title="What engines refuse",
            description="Messages and connections at mailboxes a second that were refused: a wrong "
            "secret (denied), unreadable (refused), ids that the model has not (foreign), too many "
            "(dropped, turned_away), and steps that failed on drafts (failures).",
            unit="cps",
            width=12,
            queries=[
                Query(
                    or_zero(
                        rate(
                            'tierflow_mailbox_events_total{count=~"denied|refused|foreign|dropped|'
                            'turned_away|failures"}',
                            "count",
                        ),
                        count="denied",
                    ),
                    "{{count}}",
                )
            ],
        ),
    ],
)
SPECULATION = Dashboard(
    name="speculation",
    title="Speculation",
    description="Acceptance, tokens per step, bytes and links of devices that draft for engines.",
    variables=[
        Variable(
            name="tier",
            title="Tier",
            description="The tier that verifies.",
            of="tierflow_endpoint_up",
            label="tier",
        )
    ],
    rows=[NOW, DRAFTS, MAILBOXES],
)
