"""All processes of the measurement: engines on one core, the rest on the other."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.measure.cores import Cores
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.processes import HOST, Processes, Running, free_port
from loadtest.measure.progress import Progress
from loadtest.measure.serving import ENGINE_START_S, START_S, start_gateway_with, start_vllm

KV_GIB = "0.25"
COLOCATED = "rill-cloud-colocated"
COLOCATED_TOKENS = 6
"""Draft tokens a step of the co-located baseline: between the 4 and 8 that are usual."""


@dataclass(frozen=True, slots=True)
class Engines:
    """Those with drafts by tier, those without by tier, and the co-located one where it runs."""

    drafting: Mapping[str, Running]
    mailboxes: Mapping[str, str]
    plain: Mapping[str, Running]
    colocated: Running | None
    secret: str


@dataclass(slots=True)
class Parts:
    """What the client talks to. `links` has, per name, the number of the emulator's link."""

    engines: Engines
    baseline: Running
    drafting: Running
    tokens: Mapping[str, str]
    link: Running | None = None
    control_port: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    agents: dict[str, Running] = field(default_factory=dict)


def start_engines(
    processes: Processes, python: str, family: Mapping[str, Path], cores: Cores, tell: Progress
) -> Engines:
    """All ready, on the cores beside the measured one. Raises BenchmarkFailure.

    They start on all cores, with their model's threads bound to one from the beginning.
    """
    secret, everywhere = secrets.token_hex(16), cores.others | cores.measured
    core = str(min(cores.others))
    common = ("--cores", core, "--kv-cache-gib", KV_GIB)
    mailboxes = {tier: f"{HOST}:{free_port()}" for tier in ("edge", "cloud")}

    def start(tier: str, suffix: str, *arguments: str, **environment: str) -> Running:
        return start_vllm(
            processes,
            python,
            family[tier],
            cores=everywhere,
            arguments=(*common, *arguments),
            environment=environment,
            name=family[tier].name + suffix,
        )

    plain = {tier: start(tier, "-plain") for tier in ("cloud", "edge")}
    drafting = {
        tier: start(tier, "", "--draft-mailbox", mailbox, TIERFLOW_DRAFT_SECRET=secret)
        for tier, mailbox in mailboxes.items()
    }
    speculative = {
        "method": "draft_model",
        "model": str(family["device"]),
        "num_speculative_tokens": COLOCATED_TOKENS,
    }
    colocated = start(
        "cloud",
        "-colocated",
        *("--", "--speculative-config", json.dumps(speculative)),
        **_openmp(python),
    )
    for running in (*plain.values(), *drafting.values()):
        running.wait_ready("/health", ENGINE_START_S)
        running.pin(cores.others)
        tell(f"{running.name} is ready")
    found = _if_it_runs(processes, colocated, cores.others, tell)
    return Engines(drafting, mailboxes, plain, found, secret)


def _openmp(python: str) -> dict[str, str]:
    """vLLM recommends Intel's OpenMP on a CPU; its absence must not end the baseline."""
    library = Path(python).parent.parent / "lib/libiomp5.so"
    return {"LD_PRELOAD": str(library)} if library.is_file() else {}


def _if_it_runs(
    processes: Processes, running: Running, cores: Set[int], tell: Progress
) -> Running | None:
    try:
        running.wait_ready("/health", ENGINE_START_S)
    except BenchmarkFailure as failure:
        tell(f"without the co-located baseline: {failure}")
        processes.stop(running)
        return None
    running.pin(cores)
    tell(f"{running.name} is ready")
    return running


def start_gateways(
    processes: Processes, engines: Engines, cores: Set[int], folder: Path, drafters: tuple[str, ...]
) -> Parts:
    """One gateway for server-only streaming, one that takes drafts. Raises BenchmarkFailure."""
    pools = {tier: _pool(tier, engine) for tier, engine in engines.plain.items()}
    if engines.colocated is not None:
        pools["colocated"] = _pool("cloud", engines.colocated)
    baseline = start_gateway_with(processes, {"pools": pools}, cores=cores, folder=folder)
    tokens = {_device(name): secrets.token_urlsafe(24) for name in drafters}
    settings = {
        "pools": {
            tier: {
                **_pool(tier, engine),
                "mailboxes": [engines.mailboxes[tier]],
                "mailbox_secret": engines.secret,
            }
            for tier, engine in engines.drafting.items()
        },
        "devices": {
            "tokens": {n: hashlib.sha256(t.encode()).hexdigest() for n, t in tokens.items()},
            "heartbeat_s": 1.0,
        },
    }
    drafting = start_gateway_with(processes, settings, cores=cores, folder=folder)
    return Parts(engines, baseline, drafting, tokens)


def _pool(tier: str, engine: Running) -> dict[str, object]:
    return {"tier": tier, "endpoints": [engine.url]}


def _device(drafter: str) -> str:
    return f"device-{drafter}"


def start_link(
    processes: Processes, parts: Parts, cores: Set[int], drafters: tuple[str, ...]
) -> None:
    """A link of its own for each device and for the server-only client: none disturbs another."""
    parts.control_port = free_port()
    command = [sys.executable, "-m", "loadtest.link", "--control", str(parts.control_port)]
    for name in ("server-only", *drafters):
        gateway = parts.baseline if name == "server-only" else parts.drafting
        parts.ports[name] = free_port()
        command += ["--listen", str(parts.ports[name])]
        command += ["--to", f"{gateway.target.host}:{gateway.target.port}"]
    parts.link = processes.start("link", command, cores=cores)
    end = time.monotonic() + START_S
    while b"ready" not in parts.link.log.read_bytes():
        if time.monotonic() > end:
            raise BenchmarkFailure(f"the link was not ready; see {parts.link.log}")
        time.sleep(0.05)


def start_agent(
    processes: Processes,
    parts: Parts,
    drafter: str,
    spoil: float,
    *,
    model: Path,
    cores: Set[int],
    folder: Path,
) -> None:
    """A device whose drafts are replaced at random with probability `spoil`.

    Raises BenchmarkFailure.
    """
    port, device = free_port(), _device(drafter)
    token = folder / f"{device}.token"
    token.write_text(parts.tokens[device])
    token.chmod(0o600)
    command = [
        *(sys.executable, "-m", "services.device_agent", "--model", str(model)),
        *("--gateway", f"http://{HOST}:{parts.ports[drafter]}"),
        *("--token-file", str(token), "--host", HOST, "--port", str(port), "--threads", "1"),
        *(("--spoil", f"{spoil:.4f}") if spoil else ()),
    ]
    agent = processes.start(device, command, cores=cores, port=port)
    agent.wait_ready("/ready", START_S)
    parts.agents[drafter] = agent
