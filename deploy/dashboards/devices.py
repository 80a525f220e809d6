"""Devices and collectives: who is there, what they answer together, where cascades escalate."""

from __future__ import annotations

from deploy.dashboards.panel import (
    Dashboard,
    Panel,
    Query,
    Row,
    median_and_p95,
    or_zero,
    rate,
)

NO_COLLECTIVE = "no collective in this time"
NO_CASCADE = "no cascade in this time"
FLEET = Row(
    title="Devices",
    panels=[
        Panel(
            title="Registered devices",
            description="Devices that are connected, and those of them that take work, over all "
            "gateways. A sudden fall: a gateway, a network or a release of the agent.",
            unit="short",
            queries=[
                Query("sum(tierflow_devices_connected)", "connected"),
                Query("sum(tierflow_devices_registered)", "registered"),
            ],
        ),
        Panel(
            title="Registrations",
            description="Registrations a second, by outcome: registered, or why it was refused.",
            unit="cps",
            queries=[
                Query(
                    or_zero(
                        rate("tierflow_device_registrations_total", "outcome"), outcome="registered"
                    ),
                    "{{outcome}}",
                )
            ],
        ),
        Panel(
            title="Answers with drafts now",
            description="Answers for which devices draft at this moment, by the tiers that take "
            "part.",
            unit="short",
            queries=[
                Query(
                    or_zero(
                        "sum by (mode) (tierflow_speculation_active_sessions)", mode="device-cloud"
                    ),
                    "{{mode}}",
                )
            ],
        ),
    ],
)
COLLECTIVES = Row(
    title="Collectives",
    panels=[
        Panel(
            title="Collective requests",
            description="Requests for tierflow-collective a second, by how they ended and who "
            "decided: agreement of members, a vote, or an aggregator.",
            unit="reqps",
            queries=[
                Query(
                    or_zero(
                        rate("tierflow_collective_requests_total", "outcome, decided_by"),
                        outcome="ok",
                        decided_by="none",
                    ),
                    "{{outcome}} by {{decided_by}}",
                )
            ],
        ),
        Panel(
            title="Members",
            description="Members, or samples, that were asked a second, by what became of them. "
            "Stragglers were not waited for.",
            unit="cps",
            queries=[
                Query(
                    or_zero(
                        rate("tierflow_collective_members_total", "role, outcome"),
                        role="answer",
                        outcome="answered",
                    ),
                    "{{role}} {{outcome}}",
                )
            ],
        ),
        Panel(
            title="Time of a step",
            description="Time of the steps of a collective request: choosing members, their "
            "answers, the aggregation, revisions.",
            unit="s",
            empty=NO_COLLECTIVE,
            queries=median_and_p95("tierflow_collective_step_seconds", "step"),
        ),
        Panel(
            title="Members asked for a request",
            description="Members, or samples, that were asked for a first answer.",
            unit="short",
            empty=NO_COLLECTIVE,
            queries=median_and_p95("tierflow_collective_members_asked"),
        ),
        Panel(
            title="Rounds of revision",
            description="Rounds in which members saw each other's answers.",
            unit="short",
            empty=NO_COLLECTIVE,
            queries=median_and_p95("tierflow_collective_rounds"),
        ),
        Panel(
            title="Quorums that were missed",
            description="Requests a second with fewer answers than their quorum, and those in "
            "which not all members agreed.",
            unit="reqps",
            queries=[
                Query(or_zero(rate("tierflow_collective_quorum_misses_total")), "quorum missed"),
                Query(or_zero(rate("tierflow_collective_disagreements_total")), "disagreed"),
            ],
        ),
    ],
)
CASCADES = Row(
    title="Cascades",
    panels=[
        Panel(
            title="Cascades by the tier that answered",
            description="Answers of tierflow-cascade a second, by the tier that gave them.",
            unit="suffix:answers/s",
            stacked=True,
            queries=[
                Query(
                    or_zero(rate("tierflow_cascade_answers_total", "tier"), tier="none"), "{{tier}}"
                )
            ],
        ),
        Panel(
            title="Escalations",
            description="Requests a second that went to the tier above, by the reason.",
            unit="reqps",
            queries=[
                Query(
                    or_zero(rate("tierflow_cascade_escalations_total", "reason"), reason="none"),
                    "{{reason}}",
                )
            ],
        ),
        Panel(
            title="Confidence",
            description="Confidence in the answers of lower tiers, from 0 to 1: median, and the "
            "95th percentile.",
            unit="percentunit",
            most=1,
            empty=NO_CASCADE,
            queries=median_and_p95("tierflow_cascade_confidence", "tier"),
        ),
    ],
)
DEVICES = Dashboard(
    name="devices",
    title="Devices and collectives",
    description="The fleet of devices, what they answer together, and where cascades escalate.",
    rows=[FLEET, COLLECTIVES, CASCADES],
)
