"""The metrics' page has all that the gateway, the engines' mailboxes and devices export."""

from __future__ import annotations

import dataclasses
import re

import httpx
import pytest

from deploy.reference.metrics import Family, agent_registry, families, gateway_sections, registry_of
from gateway.adapters.prometheus.endpoints import DiscoveryMetrics
from gateway.core.types import Tier
from gateway.protocol.mailbox import MailboxGreeting
from gateway.settings import Pool, Settings, shipped_profiles
from gateway.wiring.app import gateway
from services.vllm_server.race.counts import MEANINGS, Counts
from services.vllm_server.race.mailbox import MailboxServer

GATEWAY = [family for section in gateway_sections() for family in families(section.build())]
FAMILIES = [*GATEWAY, *families(agent_registry())]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_metric_has_a_meaning_that_is_a_sentence(family: Family) -> None:
    assert family.meaning.endswith(".")
    assert len(family.meaning) > 15


@pytest.mark.anyio
async def test_the_gateway_exports_these_and_nothing_else() -> None:
    pool = Pool(tier=Tier.EDGE, endpoints=("http://127.0.0.1:1",))
    async with gateway(Settings(pools={"edge": pool}, profiles=shipped_profiles())) as app:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            page = (await client.get("/metrics")).text
    exported = re.findall(r"^# TYPE (\S+)", page, re.M)
    # A gateway that is not in a cluster exports nothing of discovery.
    of_discovery = {each.name for each in families(registry_of(DiscoveryMetrics(tuple)))}
    ours = {family.name for family in GATEWAY}
    assert {name for name in exported if not name.endswith("_created")} == ours - of_discovery


def test_every_count_of_the_engine_has_a_meaning() -> None:
    of_drafts = {field.name for field in dataclasses.fields(Counts)}
    of_the_scheduler = {"accepted", "failures", "sessions", "waiting"}
    greeting = MailboxGreeting(version=1, vocabulary=1, per_step=1)
    mailbox = MailboxServer(
        host="127.0.0.1", port=0, secret=b"a secret of sixteen", greeting=greeting, report=dict
    )
    try:
        of_the_mailbox = set(mailbox.counts())
    finally:
        mailbox.close()
    assert set(MEANINGS) == of_drafts | of_the_scheduler | of_the_mailbox
