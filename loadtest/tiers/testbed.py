"""The sites: devices, the edge site with its gateways and engine, and the cloud behind a link."""

from __future__ import annotations

import re
import secrets
import urllib.request
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.link.control import Control
from loadtest.measure.http_client import Target
from loadtest.measure.processes import HOST, Process, Processes, free_port, wait_until
from loadtest.measure.servers import (
    START_S,
    Links,
    pool,
    pool_at,
    start_device,
    start_gateway,
    start_links,
    token_hashes,
)
from loadtest.speculation.engines import Engines
from loadtest.speculation.testbed import PAUSES_PASS
from loadtest.tiers.plan import NEAR_ROUND_TRIP_MS, RATE_MB_S
from loadtest.tiers.ways import BASELINE, DRAFTING

MAILBOX = "mailbox"
ROUND_TRIP_S = 120.0
TOLERANCE_MS = 30.0
"""What the engine's step and a busy gateway add to a round trip, at most."""


@dataclass(slots=True, kw_only=True)
class Testbed:
    """The servers that the client asks.

    Both gateways stand at the edge site, beside the edge's engines. `near` are the links of devices
    and clients to them, `far` those from them to the cloud's engines and to its mailbox.
    """

    processes: Processes
    cores: Set[int]
    folder: Path
    engines: Engines
    far: Links
    near: Links
    gateways: Mapping[str, Process]
    tokens: Mapping[str, str]
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
        """Links and gateways, ready; no agent runs yet. Raises BenchmarkFailure."""
        far = _start_far(processes, engines, cores)
        tokens = {_device(drafter): secrets.token_urlsafe(24) for drafter in drafters}
        gateways = {
            BASELINE: start_gateway(processes, _baseline(engines, far), cores=cores, folder=folder),
            DRAFTING: start_gateway(
                processes, _drafting(engines, far, tokens), cores=cores, folder=folder
            ),
        }
        # Each device and client has a link of its own: none disturbs another.
        ends = dict.fromkeys(drafters, gateways[DRAFTING].target)
        ends |= {name: gateway.target for name, gateway in gateways.items()}
        near = start_links(processes, "near", ends, cores=cores)
        set_link(near, NEAR_ROUND_TRIP_MS)
        return cls(
            processes=processes,
            cores=cores,
            folder=folder,
            engines=engines,
            far=far,
            near=near,
            gateways=gateways,
            tokens=tokens,
        )

    def start_agent(self, drafter: str, spoil: float, model: Path) -> None:
        """A device whose drafts are replaced at random with probability `spoil`.

        Raises BenchmarkFailure.
        """
        device = _device(drafter)
        agent = start_device(
            self.processes,
            device,
            model=model,
            gateway=f"http://{HOST}:{self.near.ports[drafter]}",
            token=self.tokens[device],
            folder=self.folder,
            cores=self.cores,
            port=free_port(),
            arguments=("--spoil", f"{spoil:.4f}") if spoil else (),
        )
        agent.wait_ready("/ready", START_S)
        self.agents[drafter] = agent

    def wait_for_round_trip(self, round_trip_ms: float) -> None:
        """Wait until the gateway at the edge has measured the far link as it is now, which devices
        learn from it. Raises BenchmarkFailure."""
        gateway = self.gateways[DRAFTING]
        wait_until(
            lambda: round_trip_ms <= longest_round_trip_ms(gateway) <= round_trip_ms + TOLERANCE_MS,
            ROUND_TRIP_S,
            f"{gateway.name} measures no round trip of {round_trip_ms} ms; see {gateway.log}",
        )

    @property
    def targets(self) -> dict[str, Target]:
        """By name: the gateways behind the near link, the agents (by drafter) before it."""
        gateways = {name: Target(HOST, self.near.ports[name]) for name in self.gateways}
        return gateways | {drafter: agent.target for drafter, agent in self.agents.items()}


def longest_round_trip_ms(gateway: Process) -> float:
    """Of those to the engines' mailboxes, as the gateway measures them; 0: none yet."""
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=5) as page:
        text: str = page.read().decode()
    found = re.findall(r"^tierflow_mailbox_round_trip_seconds\{[^}]*\} (\S+)$", text, re.M)
    return 1e3 * max(map(float, found), default=0.0)


def set_link(links: Links, round_trip_ms: float) -> None:
    with Control(links.control_port) as control:
        control.ask(delay_ms=round_trip_ms / 2, jitter_ms=0, rate_mb_s=RATE_MB_S, stall=None)


def _start_far(processes: Processes, engines: Engines, cores: Set[int]) -> Links:
    """A link for each port of the cloud, the mailbox's too; all have the same conditions."""
    verifier = engines.drafting["cloud"]
    host, _, port = verifier.mailbox.rpartition(":")
    ends = {
        verifier.engine.name: verifier.engine.target,
        MAILBOX: Target(host, int(port)),
        engines.plain["cloud"].name: engines.plain["cloud"].target,
    }
    if engines.colocated is not None:
        ends[engines.colocated.name] = engines.colocated.target
    return start_links(processes, "far", ends, cores=cores)


def _baseline(engines: Engines, far: Links) -> Mapping[str, object]:
    pools = {
        "edge": pool("edge", engines.plain["edge"]),
        "cloud": pool_at("cloud", far.url(engines.plain["cloud"].name)),
    }
    if engines.colocated is not None:
        pools["colocated"] = pool_at("cloud", far.url(engines.colocated.name))
    return {**PAUSES_PASS, "pools": pools}


def _drafting(engines: Engines, far: Links, tokens: Mapping[str, str]) -> Mapping[str, object]:
    edge, cloud = engines.drafting["edge"], engines.drafting["cloud"]
    mailbox = f"{HOST}:{far.ports[MAILBOX]}"
    return {
        **PAUSES_PASS,
        "pools": {
            "edge": edge.pool(),
            "cloud": {
                **cloud.pool(),
                **pool_at("cloud", far.url(cloud.engine.name)),
                "mailboxes": [mailbox],
            },
        },
        "devices": {"tokens": token_hashes(tokens), "heartbeat_s": 1.0},
    }


def _device(drafter: str) -> str:
    return f"device-{drafter}"
