"""Starts a gateway in front of an edge and a cloud engine, simulated or real."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.engines import AT_ONCE, Engines
from tests.servers import Server, eventually, start_gateway, start_simulator

FAMILY = ["rill-device", "rill-edge", "rill-cloud"]
MAX_RUNNING = AT_ONCE["cloud"]
"""Requests that each engine runs at once, simulated or real."""


@dataclass(frozen=True)
class Deployment:
    kind: str
    edge: Server
    cloud: Server
    gateway: Server

    @property
    def engines(self) -> tuple[Server, Server]:
        return self.edge, self.cloud


def gateway_config(edge: list[Server], cloud: list[Server], **more: Any) -> dict[str, Any]:
    return {
        "family": FAMILY,
        "pools": {
            "edge": {"tier": "edge", "endpoints": [server.url for server in edge]},
            "cloud": {"tier": "cloud", "endpoints": [server.url for server in cloud]},
        },
        "scrape": {"interval_s": 0.2},
        **more,
    }


def simulators(folder: Path, stack: ExitStack) -> tuple[Server, Server]:
    flags = ("--decode-tokens-per-s", "400", "--max-num-seqs", str(MAX_RUNNING))
    servers = []
    for model in FAMILY[1:]:
        servers.append(start_simulator(model, folder, *flags, "--max-model-len", "1024"))
        stack.callback(servers[-1].stop)
    return servers[0], servers[1]


def gateway_ready(gateway: Server) -> Any:
    return httpx.get(gateway.url + "/ready").json()


def deploy(kind: str, engines: Engines, folder: Path, stack: ExitStack) -> Deployment:
    """Everything is up and seen by the gateway; `stack` stops it, but for the shared engines."""
    if kind == "simulator":
        edge, cloud = simulators(folder, stack)
    else:
        edge, cloud = (engines.get(name).server for name in ("edge", "cloud"))
    gateway = start_gateway(gateway_config([edge], [cloud]), folder)
    stack.callback(gateway.stop)

    def all_ready() -> bool:
        return all(pool["ready"] for pool in gateway_ready(gateway)["pools"].values())

    eventually(all_ready, "both pools are ready")
    return Deployment(kind, edge, cloud, gateway)
