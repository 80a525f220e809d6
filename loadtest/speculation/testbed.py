"""What stands before the engines: gateways, the link emulator, and the devices' agents."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.link.control import Control
from loadtest.measure.http_client import Target
from loadtest.measure.processes import HOST, Process, Processes, free_port
from loadtest.measure.servers import (
    START_S,
    pool,
    start_device,
    start_gateway,
    start_links,
    token_hashes,
)
from loadtest.speculation.engines import Engines
from loadtest.speculation.plan import DIRECT, SERVER_ONLY

PAUSES_PASS = {"scrape": {"failures": 1_000_000}}
"""The gateways' setting by which an engine that is paused while others are asked stays in its pool:
it runs again whenever it is asked."""


@dataclass(slots=True, kw_only=True)
class Testbed:
    """The servers that the client asks: engines, two gateways, links, and agents by drafter.

    `baseline` is the gateway for server-only streaming, `drafting` the one that takes drafts.
    `link_ports` are the near ends of the links, by drafter and `server-only`.
    """

    processes: Processes
    cores: Set[int]
    folder: Path
    engines: Engines
    baseline: Process
    drafting: Process
    tokens: Mapping[str, str]
    control_port: int = 0
    link_ports: Mapping[str, int] = field(default_factory=dict)
    agents: dict[str, Process] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        processes: Processes,
        engines: Engines,
        *,
        cores: Set[int],
        folder: Path,
        drafters: Sequence[str],
    ) -> Testbed:
        """Gateways and links, ready; no agent runs yet. Raises BenchmarkFailure."""
        pools = {tier: pool(tier, engine) for tier, engine in engines.plain.items()}
        if engines.colocated is not None:
            pools["colocated"] = pool("cloud", engines.colocated)
        tokens = {_device(drafter): secrets.token_urlsafe(24) for drafter in drafters}
        settings = {
            **PAUSES_PASS,
            "pools": {tier: verifier.pool() for tier, verifier in engines.drafting.items()},
            "devices": {"tokens": token_hashes(tokens), "heartbeat_s": 1.0},
        }
        testbed = cls(
            processes=processes,
            cores=cores,
            folder=folder,
            engines=engines,
            baseline=start_gateway(
                processes, {**PAUSES_PASS, "pools": pools}, cores=cores, folder=folder
            ),
            drafting=start_gateway(processes, settings, cores=cores, folder=folder),
            tokens=tokens,
        )
        testbed._start_links(drafters)
        return testbed

    def _start_links(self, drafters: Sequence[str]) -> None:
        """A link of its own for each device and for the server-only client: none disturbs another.

        Raises BenchmarkFailure.
        """
        ends = {SERVER_ONLY: self.baseline.target}
        ends |= dict.fromkeys(drafters, self.drafting.target)
        links = start_links(self.processes, "link", ends, cores=self.cores)
        self.control_port, self.link_ports = links.control_port, links.ports

    def start_agent(
        self, drafter: str, spoil: float, model: Path, least_draft_ms: float = 0.0
    ) -> None:
        """A device whose drafts are replaced at random with probability `spoil`, and take at least
        so long each.

        Raises BenchmarkFailure.
        """
        device = _device(drafter)
        agent = start_device(
            self.processes,
            device,
            model=model,
            gateway=f"http://{HOST}:{self.link_ports[drafter]}",
            token=self.tokens[device],
            folder=self.folder,
            cores=self.cores,
            port=free_port(),
            arguments=(
                *(("--spoil", repr(spoil)) if spoil else ()),
                *(("--least-step-ms", f"{least_draft_ms:g}") if least_draft_ms else ()),
            ),
        )
        agent.wait_ready("/ready", START_S)
        self.agents[drafter] = agent

    @property
    def targets(self) -> dict[str, Target]:
        """By name. `server-only` is behind its link, the agents (by drafter) are before theirs."""
        return {
            DIRECT: self.engines.plain["cloud"].target,
            SERVER_ONLY: Target(HOST, self.link_ports[SERVER_ONLY]),
            **{drafter: agent.target for drafter, agent in self.agents.items()},
        }


def set_link(control: Control, round_trip_ms: float, rate_mb_s: float) -> None:
    control.ask(delay_ms=round_trip_ms / 2, jitter_ms=0, rate_mb_s=rate_mb_s, stall=None)


def _device(drafter: str) -> str:
    return f"device-{drafter}"
