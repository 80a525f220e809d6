"""The metrics' page has all that the gateway, the engines' mailboxes and devices export."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from deploy.reference.metrics import Family, agent_registry, families, gateway_sections, registry_of
from gateway.adapters.prometheus.endpoints import DiscoveryMetrics
from gateway.core.tier import Tier
from gateway.protocol.mailbox import LEVELS, MailboxGreeting
from gateway.settings import Settings, shipped_profiles
from gateway.settings.pools import Pool
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
    async with gateway(Settings(pools={"edge": pool}, profiles=shipped_profiles())) as running:
        transport = httpx.ASGITransport(app=running.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            page = (await client.get("/metrics")).text
    exported = re.findall(r"^# TYPE (\S+)", page, re.M)
    # A gateway that is not in a cluster exports nothing of discovery.
    of_discovery = {each.name for each in families(registry_of(DiscoveryMetrics(tuple)))}
    ours = {family.name for family in GATEWAY}
    assert set(exported) == ours - of_discovery


REGISTRIES = {section.heading: section.build for section in gateway_sections()}
REGISTRIES["The device agent"] = agent_registry


@pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed; Debian's package prometheus has it",
)
@pytest.mark.parametrize("build", REGISTRIES.values(), ids=REGISTRIES.keys())
def test_promtool_has_nothing_to_say_about_any_metric(
    build: Callable[[], CollectorRegistry],
) -> None:
    page = generate_latest(registry_of(*map(Exemplar, build()._collector_to_names)))
    assert page.count(b"# TYPE") == sum(1 for _ in families(build()))
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b""), checked.stderr


class Exemplar(Collector):
    """A collector's metrics with a series of each, since promtool passes over those without."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        if labels := getattr(self._collector, "_labelnames", ()):
            self._collector.labels(*("x" for _ in labels))  # type: ignore[attr-defined]
        for metric in self._collector.collect():
            if not metric.samples:
                names = metric._labelnames  # type: ignore[attr-defined]
                metric.add_metric(["x" for _ in names], 1.0)  # type: ignore[attr-defined]
            yield metric


def test_the_engines_figures_that_may_fall_are_those_that_say_now() -> None:
    assert {name for name, text in MEANINGS.items() if " now" in text} == LEVELS


def test_every_count_of_the_engine_has_a_meaning() -> None:
    of_drafts = {field.name for field in dataclasses.fields(Counts)}
    of_the_scheduler = {"accepted", "failures", "sessions", "waiting"}
    of_the_scheduler |= {"timed_steps", "step_us", "expected_us"}
    greeting = MailboxGreeting(version=1, vocabulary=1, per_step=1)
    mailbox = MailboxServer(
        host="127.0.0.1", port=0, secret=b"a secret of sixteen", greeting=greeting, report=dict
    )
    try:
        of_the_mailbox = set(mailbox.counts())
    finally:
        mailbox.close()
    assert set(MEANINGS) == of_drafts | of_the_scheduler | of_the_mailbox
