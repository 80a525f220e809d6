"""What stands before the engines: gateways, the link emulator, and the devices' agents."""

from __future__ import annotations

import hashlib
import secrets
import sys
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.processes import HOST, Processes, Running, free_port
from loadtest.measure.serving import START_S, start_gateway_with
from loadtest.speculation.engines import Engines


@dataclass(slots=True)
class Parts:
    """What the client talks to. `ports` are those of the links, by drafter and `server-only`."""

    engines: Engines
    baseline: Running
    drafting: Running
    tokens: Mapping[str, str]
    link: Running | None = None
    control_port: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    agents: dict[str, Running] = field(default_factory=dict)


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
