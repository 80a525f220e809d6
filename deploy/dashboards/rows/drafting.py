"""What devices' drafts bring."""

from __future__ import annotations

from deploy.dashboards.panel import NO_DRAFT, Panel, Query, Row, or_zero, rate, share

ACCEPTED = 'tierflow_speculation_accepted_tokens_total{tier=~"$tier"}'
FORWARDED = 'tierflow_speculation_draft_tokens_total{tier=~"$tier", fate="forwarded"}'

DRAFTING = Row(
    title="Drafting",
    panels=[
        Panel(
            title="Draft tokens",
            description=(
                "From devices, by what became of them: forwarded to the "
                "verifier, late (it was past them), dropped (it could "
                "not be reached); and those that came true."
            ),
            unit="suffix:tok/s",
            width=6,
            queries=[
                Query(
                    or_zero(
                        rate('tierflow_speculation_draft_tokens_total{tier=~"$tier"}', "fate"),
                        fate="forwarded",
                    ),
                    "{{fate}}",
                ),
                Query(
                    or_zero(rate('tierflow_speculation_accepted_tokens_total{tier=~"$tier"}')),
                    "accepted",
                ),
            ],
        ),
        Panel(
            title="Accepted share",
            description=(
                "Draft tokens that came true, of those forwarded. "
                "Devices draft alternatives and far ahead, so that it "
                "lies below the share of single guesses that are right."
            ),
            unit="percentunit",
            empty=NO_DRAFT,
            width=6,
            most=1,
            queries=[
                Query(
                    (share(rate(ACCEPTED, "tier"), rate(FORWARDED, "tier"))),
                    "{{tier}}",
                ),
            ],
        ),
        Panel(
            title="Devices",
            description=(
                "Devices with a connection, and their sessions now by how they are answered."
            ),
            unit="short",
            width=6,
            queries=[
                Query(
                    "sum(tierflow_devices_connected)",
                    "connected",
                ),
                Query(
                    (
                        "sum by (mode) "
                        "(tierflow_speculation_active_sessions) or on() "
                        'label_replace(vector(0), "mode", '
                        '"device-cloud", "", "")'
                    ),
                    "{{mode}} sessions",
                ),
            ],
        ),
        Panel(
            title="Answers by devices' own agents",
            description=(
                'What the scraped device agents answered, by way; "on-device" is without a server.'
            ),
            unit="suffix:answers/s",
            width=6,
            queries=[
                Query(
                    or_zero(rate("tierflow_device_answers_total", "way"), way="on-device"),
                    "{{way}}",
                ),
            ],
        ),
    ],
)
