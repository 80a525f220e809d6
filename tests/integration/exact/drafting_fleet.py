"""Two devices that draft for a real engine, each behind a link of its own."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from loadtest.link.control import Control
from tests.integration.agent import QUICK_AGENT
from tests.reference_verifier.client import SECRET, MailboxClient, Verifier
from tests.servers import (
    SHIPPED_FAMILY,
    Server,
    eventually,
    free_port,
    metric_in,
    start,
    start_gateway,
)

SPOIL = 0.3
"""Share of draft tokens that the second device replaces at random."""

SCRIPTED = ("phone", "tablet")
"""Devices that tests play themselves, straight at the gateway."""

AGENTS = ("agent-0", "agent-1")
"""Devices with an agent each, by their numbers."""

DRAFTS_PER_S = 10_000
"""What the gateway takes of a device; an agent drafts no faster."""


@dataclass(frozen=True)
class DraftingFleet:
    """`agents` are the devices' own servers, the second one's drafts spoiled; `link` sets what
    lies between the gateway and each, by their place."""

    engine: Verifier
    gateway: Server
    agents: tuple[Server, Server]
    link: Control

    def running(self) -> float:
        """Requests that the engine works on, or will."""
        return self._metric("vllm:num_requests_running") + self._metric("vllm:num_requests_waiting")

    def finished(self) -> float:
        """Requests that came to their end."""
        return sum(
            self._metric("vllm:request_success_total", finished_reason=reason)
            for reason in ("stop", "length")
        )

    def _metric(self, name: str, **labels: str) -> float:
        return metric_in(httpx.get(self.engine.url + "/metrics").text, name, **labels)

    def counts(self) -> dict[str, int]:
        """What the engine counts about drafts."""
        with MailboxClient(self.engine.mailbox) as mailbox:
            return mailbox.counts()

    def linked(self, number: int) -> bool:
        ready = httpx.get(self.agents[number].url + "/ready").json()
        return not ready["conditions"] and "cloud" in ready["tiers"]


def token_of(name: str) -> str:
    return f"the token of {name}, which is long enough"


def open_fleet(engine: Verifier, folder: Path, stack: ExitStack) -> DraftingFleet:
    """All is up and connected; `stack` stops it."""
    devices = [*SCRIPTED, *AGENTS]
    pool: dict[str, Any] = {"tier": "cloud", "endpoints": [engine.url]}
    pool |= {"mailboxes": [f"127.0.0.1:{engine.mailbox}"], "mailbox_secret": SECRET}
    tokens = {name: hashlib.sha256(token_of(name).encode()).hexdigest() for name in devices}
    config = {"pools": {"cloud": pool}, "devices": {"tokens": tokens, "drafts_per_s": DRAFTS_PER_S}}
    gateway = start_gateway(config, folder)
    stack.callback(gateway.stop)
    ports = [free_port() for _ in range(2)]
    link = stack.enter_context(start_links(dict.fromkeys(ports, gateway.id), folder, stack))
    agents = [start_agent(number, ports[number], folder, stack) for number in range(2)]
    fleet = DraftingFleet(engine, gateway, (agents[0], agents[1]), link)
    for number in range(2):
        eventually(lambda number=number: fleet.linked(number), "the agent sees the cloud")  # type: ignore[misc]
    return fleet


def start_links(targets: Mapping[int, str], folder: Path, stack: ExitStack) -> Control:
    """A link from each port here to its target, HOST:PORT."""
    command = [sys.executable, "-m", "loadtest.link", "--control", str(control := free_port())]
    for port, target in targets.items():
        command += ["--listen", str(port), "--to", target]
    server = start("link", command, folder, "")
    stack.callback(server.stop)
    eventually(lambda: "ready" in server.output(), "the links are up")
    return Control(control)


def start_agent(number: int, gateway: int, folder: Path, stack: ExitStack) -> Server:
    port, token = free_port(), folder / f"agent-{number}.token"
    token.write_text(token_of(AGENTS[number]))
    command = [sys.executable, "-m", QUICK_AGENT, "--port", str(port)]
    command += ["--model", str(SHIPPED_FAMILY / "rill-device"), "--token-file", str(token)]
    command += ["--gateway", f"http://127.0.0.1:{gateway}"]
    if number == 1:
        command += ["--spoil", str(SPOIL)]
    server = start(f"agent-{number}", command, folder, f"http://127.0.0.1:{port}")
    stack.callback(server.stop)
    eventually(lambda: server.answers("/health"), f"agent {number} is up")
    return server
