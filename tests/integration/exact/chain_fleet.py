"""A gateway beside an edge engine, with the cloud's behind a link: where chains of tiers run."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from loadtest.link.control import Control
from tests.integration.exact.drafting_fleet import (
    AGENTS,
    DRAFTS_PER_S,
    SCRIPTED,
    start_links,
    token_of,
)
from tests.reference_verifier.client import SECRET, Verifier
from tests.servers import Server, eventually, free_port, metric_in, start_gateway

EDGE, EDGE_MAILBOX, CLOUD, CLOUD_MAILBOX = range(4)
"""The links, by their numbers."""


@dataclass(frozen=True)
class ChainFleet:
    edge: Verifier
    cloud: Verifier
    gateway: Server
    link: Control

    def delay_cloud(self, delay_ms: float) -> None:
        """One way, on all that goes between the gateway and the cloud."""
        for number in (CLOUD, CLOUD_MAILBOX):
            self.link.ask(link=number, delay_ms=delay_ms)

    def cut_edge(self, seconds: float) -> None:
        """The edge's connections break, and no new ones come about for so long."""
        for number in (EDGE, EDGE_MAILBOX):
            self.link.ask(link=number, cut_s=seconds)

    def written_by(self, tier: str) -> float:
        """Tokens of callers' answers that this tier wrote first."""
        page = httpx.get(self.gateway.url + "/metrics").text
        return metric_in(page, "tierflow_chain_tokens_total", chain="edge-cloud", tier=tier)

    def wait_for_edge(self) -> None:
        eventually(lambda: not conditions(self.gateway), "the edge is back")


def conditions(gateway: Server) -> Any:
    return httpx.get(gateway.url + "/ready").json()["conditions"]


def open_chain_fleet(edge: Verifier, cloud: Verifier, folder: Path, stack: ExitStack) -> ChainFleet:
    """All is up and connected; `stack` stops it."""
    ports = [free_port() for _ in range(4)]
    targets = [edge.url.removeprefix("http://"), f"127.0.0.1:{edge.mailbox}"]
    targets += [cloud.url.removeprefix("http://"), f"127.0.0.1:{cloud.mailbox}"]
    links = dict(zip(ports, targets, strict=True))
    link = stack.enter_context(start_links(links, folder, stack))
    pools: dict[str, Any] = {
        tier: {
            "tier": tier,
            "endpoints": [f"http://127.0.0.1:{ports[engine]}"],
            "mailboxes": [f"127.0.0.1:{ports[mailbox]}"],
            "mailbox_secret": SECRET,
        }
        for tier, engine, mailbox in (
            ("edge", EDGE, EDGE_MAILBOX),
            ("cloud", CLOUD, CLOUD_MAILBOX),
        )
    }
    tokens = {
        name: hashlib.sha256(token_of(name).encode()).hexdigest() for name in (*SCRIPTED, *AGENTS)
    }
    config = {
        "pools": pools,
        "scrape": {"interval_s": 0.5},
        "chains": {"adapt": False},
        "devices": {"tokens": tokens, "drafts_per_s": DRAFTS_PER_S},
    }
    gateway = start_gateway(config, folder)
    stack.callback(gateway.stop)
    fleet = ChainFleet(edge, cloud, gateway, link)
    fleet.wait_for_edge()
    return fleet
