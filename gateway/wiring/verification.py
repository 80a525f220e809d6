"""From the settings to what verifies drafts: mailboxes, and rounds at engines without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from gateway.adapters.engines.mailbox import Mailbox
from gateway.adapters.engines.stateless_verifier import StatelessVerifier
from gateway.adapters.engines.verifier import EngineVerifier
from gateway.adapters.prometheus.draft_rounds import RoundMetrics
from gateway.core.ports import Clock, ModelServer
from gateway.core.speculation.round_economy import RULES, RoundMode, RoundTerms
from gateway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationParts:
    """The verifier of drafts at all endpoints, and what is told of its rounds."""

    verifier: StatelessVerifier
    metrics: RoundMetrics


def build_verification(
    settings: Settings,
    *,
    server: ModelServer,
    mailboxes: Mapping[str, Mailbox],
    clock: Clock,
    registry: CollectorRegistry,
) -> VerificationParts:
    """`mailboxes` by endpoint; they may change later."""
    metrics = RoundMetrics(registry)
    terms = {
        name: RoundTerms(pool.draft_round_tokens, RULES[pool.draft_rounds])
        for name, pool in settings.pools.items()
        if pool.draft_rounds is not RoundMode.NEVER
    }
    verifier = StatelessVerifier(
        engines=EngineVerifier(server, mailboxes),
        server=server,
        terms=terms,
        clock=clock,
        telemetry=metrics,
    )
    return VerificationParts(verifier=verifier, metrics=metrics)
