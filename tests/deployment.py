"""Starts a gateway in front of an edge and a cloud engine, simulated or real.

Real vLLM needs the engine environment's Python (TIERFLOW_ENGINE_PYTHON) and a family: the shipped
one, or the folder that TIERFLOW_TEST_FAMILY names, with rill-edge and rill-cloud in it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import (
    SHIPPED_FAMILY,
    Server,
    eventually,
    start_gateway,
    start_simulator,
    start_vllm,
)

FAMILY = ["rill-device", "rill-edge", "rill-cloud"]
MAX_RUNNING = 4
"""Requests that each engine runs at once; small, so that a test can fill it."""


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


def vllm_servers(folder: Path, stack: ExitStack) -> tuple[Server, Server]:
    python = os.environ.get("TIERFLOW_ENGINE_PYTHON")
    if not python:
        pytest.skip("TIERFLOW_ENGINE_PYTHON is not set; `make test` sets it")
    family = Path(os.environ.get("TIERFLOW_TEST_FAMILY") or SHIPPED_FAMILY)
    missing = [name for name in FAMILY[1:] if not (family / name / "config.json").is_file()]
    if missing:
        pytest.skip(f"no {', '.join(missing)} in {family}; `make family` trains them")
    servers = []
    for cores, model in enumerate(FAMILY[1:]):
        flags = ("--max-num-seqs", str(MAX_RUNNING))
        core = str(cores % (os.cpu_count() or 1))
        servers.append(start_vllm(python, family / model, core, folder, *flags))
        stack.callback(servers[-1].stop)
    for server in servers:
        eventually(partial(server.answers, "/health"), f"{server.name} loads", 300, 0.2)
    return servers[0], servers[1]


def gateway_ready(gateway: Server) -> Any:
    return httpx.get(gateway.url + "/ready").json()


def deploy(kind: str, folder: Path, stack: ExitStack) -> Deployment:
    """Everything is up and seen by the gateway; `stack` stops it."""
    edge, cloud = (simulators if kind == "simulator" else vllm_servers)(folder, stack)
    gateway = start_gateway(gateway_config([edge], [cloud]), folder)
    stack.callback(gateway.stop)

    def all_ready() -> bool:
        return all(pool["ready"] for pool in gateway_ready(gateway)["pools"].values())

    eventually(all_ready, "both pools are ready")
    return Deployment(kind, edge, cloud, gateway)
